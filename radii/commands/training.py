"""``radii train``: make a base classifier and the bundle that holds it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from radii.commands.client import fail


def train(
    recipe: Annotated[str, typer.Argument(help="How to train: `standard`, `gaussian` or `adversarial`.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    dataset: Annotated[str, typer.Option(help="What to train on.")] = "fashion-mnist",
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set's files; the usual places if left out.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download the data set if it is missing.")
    ] = False,
    architecture: Annotated[str, typer.Option(help="The network.")] = "preact_resnet18",
    width: Annotated[int | None, typer.Option(help="Its width, for networks that have one.")] = None,
    sigma: Annotated[float, typer.Option(help="Noise level, pixels in [0, 1].")] = 0.5,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="On all parameters.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Of the cross entropy.")] = None,
    crop_padding: Annotated[int | None, typer.Option(help="Border of the random crop, pixels.")] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror images at random.")] = None,
    held_out: Annotated[int | None, typer.Option(help="Training images kept for validation.")] = None,
    norm: Annotated[str | None, typer.Option(help="adversarial: l2 or linf.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="adversarial: radius, pixels in [0, 1].")] = None,
    attack_steps: Annotated[int | None, typer.Option(help="adversarial: steps of the attack.")] = None,
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint beside OUT.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing bundle.")] = False,
) -> None:
    """Train a base classifier by RECIPE and write it as a bundle that workers can serve."""
    from models.bundles import BundleError
    from models.data import DatasetError
    from models.training import TrainingError, TrainingPlan
    from models.training import train as run

    optional: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "crop_padding": crop_padding,
        "flip": flip,
        "held_out": held_out,
    }
    of_recipe = {"norm": norm, "epsilon": epsilon, "attack_steps": attack_steps}
    console = Console(stderr=True)
    try:
        plan = TrainingPlan(
            recipe=recipe,
            out=out,
            dataset=dataset,
            data_root=data,
            download=download,
            architecture=architecture,
            architecture_arguments={} if width is None else {"width": width},
            recipe_arguments={name: value for name, value in of_recipe.items() if value is not None},
            sigma=sigma,
            seed=seed,
            device=device,  # type: ignore[arg-type]  # checked by the plan
            precision=precision,  # type: ignore[arg-type]
            resume=resume,
            overwrite=overwrite,
            **{name: value for name, value in optional.items() if value is not None},
        )
        bundle = run(plan, console=console)
    except (TrainingError, BundleError, DatasetError) as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        raise fail(f"interrupted; `--resume` goes on from {plan.checkpoint}") from None
    console.print(f"bundle written to [bold]{bundle}[/bold]; serve it with `radii serve --models {bundle}`")
