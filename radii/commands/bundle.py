"""``radii bundle``: turn a pretrained classifier into a bundle that workers serve."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from radii.errors import CommandError

app = typer.Typer(no_args_is_help=True)

Floats = Annotated[
    str | None,
    typer.Option(
        help="One number per channel, separated by commas, pixels in [0, 1]. Required with --weights, unless "
        "the file has it or the weights are torchvision's or timm's own."
    ),
]


@app.command()
def create(
    folder: Annotated[Path, typer.Argument(help="Folder to write; its name becomes the model's name.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="The network: `torchvision:resnet18`, `timm:NAME`, an architecture of radii, "
            "or your own `pkg.module:callable`.",
        ),
    ],
    classes: Annotated[
        str,
        typer.Option(
            help="Class names separated by commas, a file with one name per line, or the number of classes."
        ),
    ],
    input_shape: Annotated[str, typer.Option(help="Channels x height x width.")] = "3x224x224",
    mean: Floats = None,
    std: Floats = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="A `.safetensors` file, or a PyTorch file, of which only tensors are read. Default: random."
        ),
    ] = None,
    arg: Annotated[
        list[str] | None, typer.Option(help="An argument of the network, as key=value. Repeatable.")
    ] = None,
    clean: Annotated[
        Path | None, typer.Option(help="Clean images for adaptation: a folder of pictures or an npz file.")
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(
            help="How to fit images of another size: the length of the shorter side before the centre crop."
        ),
    ] = None,
    interpolation: Annotated[
        str, typer.Option(help="Interpolation of --resize: nearest, bilinear or bicubic.")
    ] = "bilinear",
    sigma: Annotated[float, typer.Option(help="Noise level for requests that give none.")] = 0.25,
    sigma_train: Annotated[
        float | None, typer.Option(help="Noise level of the training, if there was one.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Votes for requests that give no number.")] = 10_000,
    allow_unused: Annotated[
        bool, typer.Option("--allow-unused", help="Ignore weights that the network has no place for.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing bundle.")] = False,
) -> None:
    """Make a bundle from a pretrained classifier."""
    from pydantic import ValidationError

    from models.bundles import BundleError, Fit, Recommended, bundle_digest
    from models.intake import create_bundle, parse_arguments, parse_classes
    from service.field_messages import field_problem

    console = Console(stderr=True)

    try:
        card = create_bundle(
            folder,
            source=source,
            classes=parse_classes(classes),
            input_shape=_shape(input_shape),
            mean=None if mean is None else _numbers("mean", mean),
            std=None if std is None else _numbers("std", std),
            weights=weights,
            arguments=parse_arguments(arg or []),
            clean=clean,
            fit=None
            if resize is None
            else Fit.model_validate({"resize": resize, "interpolation": interpolation}),
            sigma_train=sigma_train,
            recommended=Recommended(sigma=sigma, n=n),
            command=shlex.join(["radii", *sys.argv[1:]]),
            allow_unused=allow_unused,
            overwrite=overwrite,
            say=lambda note: console.print(f"note: {note}", markup=False, highlight=False),
        )
    except ValidationError as error:
        raise CommandError("; ".join(field_problem(fault).message for fault in error.errors())) from error
    except BundleError as error:
        raise CommandError(str(error)) from error
    if weights is None:
        console.print("[yellow]no --weights given: they are random, fit for trials only[/yellow]")
    console.print(
        f"bundle [bold]{card.name}[/bold] ({bundle_digest(card)[:12]}) written to {folder}; "
        f"serve it with `radii serve --models {folder}`"
    )


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="Folder of the bundle.")]) -> None:
    """Check a bundle as a worker does: card, digests, weights and clean images."""
    from models.bundles import BundleError, bundle_digest, inspect_bundle

    try:
        card = inspect_bundle(folder).card
    except BundleError as error:
        raise CommandError(str(error)) from error
    Console().print(f"[green]bundle is valid[/green] {card.name} {bundle_digest(card)}")


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise CommandError(f"'input-shape' must be channels x height x width such as 3x224x224, got {text!r}")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _numbers(field: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise CommandError(f"'{field}' must be numbers separated by commas, got {text!r}") from None
