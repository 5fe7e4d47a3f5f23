"""Commands that talk to a running server."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from contract.choices import JobKind
from contract.jobs import Job, Progress
from contract.problems import shorten
from contract.requests import CertifyRequest, PredictRequest
from radii.client import DEFAULT_MAX_WAIT, DEFAULT_URL, Client
from radii.commands.options import options_from
from radii.errors import CommandError
from radii.http_messages import require_success
from radii.show.certificate import show_certificate, show_prediction
from radii.show.progress import sampling_bar
from radii.show.tables import show_models, show_verification

Image = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP or BMP file.")]
Url = Annotated[str, typer.Option(envvar="RADII_URL", help="Address of the server.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="RADII_API_KEY",
        show_envvar=True,
        help="API key. Prefer the environment: other users of the machine can read a command's options. "
        "RADII_API_KEY_FILE names a file instead. Default: the key that `radii serve` made on this machine.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON and nothing else.")]
MaxWait = Annotated[
    float, typer.Option(min=0, help="Seconds to wait for a busy server before giving up; 0: not at all.")
]

_NO_CERTIFICATE = "'certificate' must be a certificate or a finished job, as JSON"


def _asking(
    request: type[CertifyRequest | PredictRequest], show: Callable[[Console, Any, list[str]], None], text: str
) -> Callable[..., None]:
    """Makes the command that sends such a request and shows its answer; ``text`` is its help."""

    @options_from(request)
    def command(
        image: Image,
        fields: Mapping[str, object],
        url: Url = DEFAULT_URL,
        api_key: ApiKey = None,
        max_wait: MaxWait = DEFAULT_MAX_WAIT,
        json: Json = False,
    ) -> None:
        with connect(url, api_key, max_wait) as client:
            job = run_job(client, request.kind, image, fields, quiet=json)
            answer = job.certificate or job.prediction
            assert answer is not None  # noqa: S101 (a job that succeeded has one)
            if json:
                typer.echo(answer.model_dump_json(indent=2))
            else:
                show(Console(), answer, client.model(job.model).classes)

    command.__doc__ = text
    return command


certify = _asking(
    CertifyRequest,
    show_certificate,
    "Certify IMAGE: its label, and a radius within which no perturbation changes it.",
)
predict = _asking(
    PredictRequest,
    show_prediction,
    "Predict the smoothed classifier's label of IMAGE, with far fewer votes than a radius takes.",
)


def models(
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    max_wait: MaxWait = DEFAULT_MAX_WAIT,
    json: Json = False,
) -> None:
    """List the models that the server's workers hold."""
    with connect(url, api_key, max_wait) as client:
        listing = client.models()
    if json:
        typer.echo(listing.model_dump_json(indent=2))
    else:
        show_models(Console(), listing)


def verify(
    certificate: Annotated[
        Path, typer.Argument(help="A certificate or a finished job, as JSON; `-` reads standard input.")
    ],
    json: Json = False,
) -> None:
    """Recompute a certificate's bounds and radii from the counts it states; needs no server."""
    from pydantic import ValidationError
    from pydantic_core import from_json

    from contract.certificates import Certificate
    from service.field_messages import field_problem
    from service.verification import verify_certificate

    try:
        text = sys.stdin.read() if str(certificate) == "-" else certificate.read_text()
        document = from_json(text)
        # A finished job, which `POST /certify` answers with, holds its certificate.
        held = document.get("certificate", document) if isinstance(document, dict) else document
        parsed = Certificate.model_validate(held)
    except OSError as error:
        raise CommandError(
            f"'certificate' must be a file that can be read, got {str(certificate)!r}: {error.strerror}"
        ) from error
    except ValidationError as error:
        faults = [field_problem(fault).message for fault in error.errors() if fault["loc"]]
        raise CommandError("\n".join([f"{_NO_CERTIFICATE}, got {shorten(document)}", *faults])) from error
    except ValueError as error:
        raise CommandError(f"{_NO_CERTIFICATE}: {error}") from error
    verification = verify_certificate(parsed)
    if json:
        typer.echo(verification.model_dump_json(indent=2))
    else:
        show_verification(Console(), verification)
    if not verification.valid:
        raise typer.Exit(1)


def connect(url: str, api_key: str | None, max_wait: float) -> Client:
    """Returns a client that reports its waits on standard error."""
    console = Console(stderr=True)
    return Client(
        url,
        api_key,
        max_wait=max_wait,
        on_wait=lambda line: console.print(escape(line), highlight=False, soft_wrap=True),
    )


def run_job(client: Client, kind: JobKind, image: Path, fields: Mapping[str, object], *, quiet: bool) -> Job:
    """Submits, follows with a progress bar, and returns the job that succeeded; Ctrl-C cancels it."""
    job = client.submit(image, kind, **fields)
    try:
        with sampling_bar(Console(stderr=True, quiet=quiet)) as show_progress:
            for event in client.follow(job):
                if isinstance(event, Progress):
                    show_progress(event)
                else:
                    job = event
    except KeyboardInterrupt:
        client.cancel(job.id)
        raise CommandError(f"job {job.id} cancelled") from None
    return require_success(job)
