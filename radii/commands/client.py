"""Commands that talk to a running server."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from contract.choices import JobStatus
from contract.jobs import Job
from contract.requests import CertifyRequest, PredictRequest
from radii import display, panels
from radii.client import Client, ClientError, describe
from radii.commands.from_model import options_from
from radii.retry import Patience

Image = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP or BMP file.")]
Url = Annotated[str, typer.Option(envvar="RADII_URL", help="The server.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="RADII_API_KEY",
        show_envvar=True,
        help="Key for the server, better in the environment: others see what a command was called with. "
        "RADII_API_KEY_FILE names a file instead. Left out: the key that `radii serve` made here.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON and nothing else.")]
MaxWait = Annotated[
    float, typer.Option(min=0, help="Seconds to wait in all for a server that is busy; 0: not at all.")
]
Answer = TypeVar("Answer")

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_MAX_WAIT = 300


@options_from(CertifyRequest)
def certify(
    image: Image,
    fields: Mapping[str, object],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    max_wait: MaxWait = DEFAULT_MAX_WAIT,
    json: Json = False,
) -> None:
    """Certify IMAGE: its label, and a radius within which no perturbation changes it."""
    with connect(url, api_key, max_wait) as client:
        job = run_job("/certify", image, fields, client, json)
        assert job.certificate is not None  # noqa: S101 (a certify job that succeeded has one)
        if json:
            typer.echo(job.certificate.model_dump_json(indent=2))
            return
        classes = attempt(lambda: client.model(job.model)).classes
    panels.show_certificate(Console(), job.certificate, classes)


@options_from(PredictRequest)
def predict(
    image: Image,
    fields: Mapping[str, object],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    max_wait: MaxWait = DEFAULT_MAX_WAIT,
    json: Json = False,
) -> None:
    """Predict the smoothed classifier's label of IMAGE, with far fewer votes than a radius takes."""
    with connect(url, api_key, max_wait) as client:
        job = run_job("/predict", image, fields, client, json)
        assert job.prediction is not None  # noqa: S101 (a predict job that succeeded has one)
        if json:
            typer.echo(job.prediction.model_dump_json(indent=2))
            return
        classes = attempt(lambda: client.model(job.model)).classes
    panels.show_prediction(Console(), job.prediction, classes)


def models(
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    max_wait: MaxWait = DEFAULT_MAX_WAIT,
    json: Json = False,
) -> None:
    """List the models that the server's workers hold."""
    with connect(url, api_key, max_wait) as client:
        listing = attempt(client.models)
    if json:
        typer.echo(listing.model_dump_json(indent=2))
    else:
        display.show_models(Console(), listing)


def verify(
    certificate: Annotated[Path, typer.Argument(help="A certificate as JSON; `-` reads standard input.")],
    json: Json = False,
) -> None:
    """Recompute a certificate's bounds and radii from the counts it states; needs no server."""
    from pydantic import ValidationError

    from contract.certificates import Certificate
    from service.verification import verify_certificate

    try:
        text = sys.stdin.read() if str(certificate) == "-" else certificate.read_text()
        parsed = Certificate.model_validate_json(text)
    except OSError as error:
        raise fail(
            f"'certificate' must be a file that can be read, got {str(certificate)!r}: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise fail(f"'certificate' must be a certificate as JSON: {error}") from error
    verification = verify_certificate(parsed)
    if json:
        typer.echo(verification.model_dump_json(indent=2))
    else:
        display.show_verification(Console(), verification)
    if not verification.valid:
        raise typer.Exit(1)


def connect(url: str, api_key: str | None, max_wait: float) -> Client:
    """Returns a client of a server; the key is the one given, or that of whoever runs the server here."""
    from radii.own_key import UnusableKey, choose_key

    try:
        return Client(url, choose_key(url, api_key), Patience(max_wait, _tell))
    except (ClientError, UnusableKey) as error:
        raise fail(str(error)) from None


def run_job(path: str, image: Path, fields: Mapping[str, object], client: Client, quiet: bool) -> Job:
    """Submits, follows with a progress bar, and returns the job that succeeded; Ctrl-C cancels it."""
    console = Console(stderr=True, quiet=quiet)
    job = attempt(lambda: client.submit(path, image, fields))
    try:
        with display.sampling_bar(console) as on_progress:
            job = attempt(lambda: client.follow(job, on_progress))
    except KeyboardInterrupt:
        attempt(lambda: client.cancel(job.id))
        raise fail(f"job {job.id} cancelled") from None
    if job.status is not JobStatus.SUCCEEDED:
        reason = describe(job.error) if job.error else "no reason is known"
        raise fail(f"job {job.id} {job.status.value}: {reason}")
    return job


def attempt(call: Callable[[], Answer]) -> Answer:
    """Calls the server; a refusal ends the command with its words."""
    try:
        return call()
    except ClientError as error:
        raise fail(str(error)) from error


def _tell(line: str) -> None:
    Console(stderr=True).print(escape(line), highlight=False, soft_wrap=True)


def fail(message: str) -> typer.Exit:
    """Prints an error and returns what ends the command."""
    Console(stderr=True).print(f"[bold red]error[/bold red] {escape(message)}", highlight=False)
    return typer.Exit(1)
