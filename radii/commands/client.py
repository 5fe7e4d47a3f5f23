"""Commands that talk to a running server."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from contract.choices import BoundKind, Fit, JobStatus, NoiseKind, NoiseLevel
from contract.jobs import Job
from radii import display, panels
from radii.client import Client, ClientError, describe
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
Model = Annotated[str | None, typer.Option(help="Model; the server's default if left out.")]
Sigma = Annotated[float | None, typer.Option(help="Noise level, pixels in [0, 1]; the model's if left out.")]
Noise = Annotated[NoiseKind | None, typer.Option(help="gaussian: ℓ2; uniform: ℓ1; hybrid: both.")]
SigmaUniform = Annotated[
    float | None, typer.Option(help="Noise level of hybrid's uniform branch; --sigma's if left out.")
]
Adapt = Annotated[
    bool | None,
    typer.Option(
        "--adapt/--no-adapt",
        help="Re-estimate batch-norm statistics under the noise; where the model can, if left out.",
        show_default=False,
    ),
]
Momentum = Annotated[
    float | None, typer.Option(help="Weight of re-estimated statistics against trained ones. [default: 1]")
]
CleanSize = Annotated[int | None, typer.Option(help="Clean images to re-estimate statistics from.")]
Votes = Annotated[int | None, typer.Option("--n", help="Estimation votes; the model's if left out.")]
Alpha = Annotated[float | None, typer.Option(help="Failure probability. [default: 0.001]")]
FitOption = Annotated[Fit | None, typer.Option(help="What to do with an image of another size.")]
Memory = Annotated[
    str | None,
    typer.Option(
        help="Namespace of the memory of certified regions, or off; default if the level is chosen per image."
    ),
]
Label = Annotated[str | None, typer.Option(help="The true class, to be told whether the answer is correct.")]
Seed = Annotated[str | None, typer.Option(help="128 bits in hexadecimal; drawn by the server if left out.")]

Answer = TypeVar("Answer")

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_MAX_WAIT = 300


def certify(
    image: Image,
    model: Model = None,
    noise: Noise = None,
    noise_level: Annotated[
        NoiseLevel | None,
        typer.Option(help="How σ is chosen; fixed if --sigma is given, else auto: per image, from a grid."),
    ] = None,
    sigma: Sigma = None,
    sigma_uniform: SigmaUniform = None,
    sigma_grid: Annotated[
        list[str] | None,
        typer.Option(help="Noise levels that auto tries, separated by commas; repeatable."),
    ] = None,
    n0: Annotated[int | None, typer.Option("--n0", help="Selection votes. [default: 100]")] = None,
    n: Votes = None,
    alpha: Alpha = None,
    bound: Annotated[BoundKind | None, typer.Option(help="How votes become bounds.")] = None,
    target_radius: Annotated[
        float | None, typer.Option(help="Stop as soon as it is sure whether this radius is certified.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="Answer with what is certified after so many seconds of work.")
    ] = None,
    adapt: Adapt = None,
    momentum: Momentum = None,
    clean_size: CleanSize = None,
    fit: FitOption = None,
    memory: Memory = None,
    fresh: Annotated[
        bool | None,
        typer.Option(
            "--fresh/--no-fresh",
            help="Sample even when the memory holds the answer to this very question.",
            show_default=False,
        ),
    ] = None,
    label: Label = None,
    seed: Seed = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    max_wait: MaxWait = DEFAULT_MAX_WAIT,
    json: Json = False,
) -> None:
    """Certify IMAGE: its label, and a radius within which no perturbation changes it."""
    fields: dict[str, object] = {
        "model": model,
        "noise": noise,
        "noise_level": noise_level,
        "sigma": sigma,
        "sigma_uniform": sigma_uniform,
        "sigma_grid": sigma_grid,
        "n0": n0,
        "n": n,
        "alpha": alpha,
        "bound": bound,
        "target_radius": target_radius,
        "max_seconds": max_seconds,
        "adapt": adapt,
        "momentum": momentum,
        "clean_size": clean_size,
        "fit": fit,
        "memory": memory,
        "fresh": fresh,
        "label": label,
        "seed": seed,
    }
    with connect(url, api_key, max_wait) as client:
        job = run_job("/certify", image, fields, client, json)
        assert job.certificate is not None  # noqa: S101 (a certify job that succeeded has one)
        if json:
            typer.echo(job.certificate.model_dump_json(indent=2))
            return
        classes = attempt(lambda: client.model(job.model)).classes
    panels.show_certificate(Console(), job.certificate, classes)


def predict(
    image: Image,
    model: Model = None,
    noise: Noise = None,
    sigma: Sigma = None,
    sigma_uniform: SigmaUniform = None,
    n: Votes = None,
    alpha: Alpha = None,
    adapt: Adapt = None,
    momentum: Momentum = None,
    clean_size: CleanSize = None,
    fit: FitOption = None,
    memory: Memory = None,
    label: Label = None,
    seed: Seed = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    max_wait: MaxWait = DEFAULT_MAX_WAIT,
    json: Json = False,
) -> None:
    """Predict the smoothed classifier's label of IMAGE; far fewer votes than a radius takes."""
    fields: dict[str, object] = {
        "model": model,
        "noise": noise,
        "sigma": sigma,
        "sigma_uniform": sigma_uniform,
        "n": n,
        "alpha": alpha,
        "adapt": adapt,
        "momentum": momentum,
        "clean_size": clean_size,
        "fit": fit,
        "memory": memory,
        "label": label,
        "seed": seed,
    }
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
