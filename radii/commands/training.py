"""``radii train``: make a base classifier and the bundle that holds it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from radii.errors import CommandError


def recipes() -> None:
    """List the training recipes, their options with defaults, and what each claims."""
    from models.training.recipes import RECIPES, recipe_parameters

    table = Table("recipe", "options", "claim", show_lines=True)
    for name, recipe in RECIPES.items():
        options = [
            f"--{key.replace('_', '-')} {parameter.default}"
            for key, parameter in recipe_parameters(name, {}).items()
        ]
        text = sys.modules[recipe.loss.__module__].__doc__ or ""
        claim = text.partition("Claim: ")[2].partition("\n\n")[0]
        table.add_row(name, "\n".join(options), " ".join(claim.split()))
    Console().print(table)


def train(
    recipe: Annotated[str, typer.Argument(help="How to train; `radii recipes` lists the ways.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write; its name is the bundle's.")],
    dataset: Annotated[str, typer.Option(help="What to train on.")] = "fashion-mnist",
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set's files; the usual places if left out.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download the data set if it is missing.")
    ] = False,
    architecture: Annotated[str, typer.Option(help="The network.")] = "preact_resnet18",
    width: Annotated[int | None, typer.Option(help="Its width, for networks that have one.")] = None,
    sigma: Annotated[
        float, typer.Option(help="Noise level, pixels in [0, 1]; 0 only where it is for measuring alone.")
    ] = 0.5,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="On all parameters.")] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Of the cross entropy; macer has none.")
    ] = None,
    crop_padding: Annotated[
        int | None, typer.Option(help="Border of the random crop, pixels; imagenet has none.")
    ] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror images at random.")] = None,
    held_out: Annotated[
        int | None, typer.Option(help="Training images kept for validation; 0: none.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Training images to use; all others if left out.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(help="best: the epoch that is best on held-out images; last. [default: by recipe]"),
    ] = None,
    last_out: Annotated[
        Path | None, typer.Option(help="Folder of a second bundle: the last epoch, where the best is kept.")
    ] = None,
    norm: Annotated[str | None, typer.Option(help="adversarial: l2 or linf.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Attacks: radius, pixels in [0, 1].")] = None,
    attack_steps: Annotated[
        int | None,
        typer.Option(
            help="Attacks: steps. Those of adversarial are ε/8.5 long in l2 and ε/4 in linf, however many: "
            "fewer than 9 or 4 cannot reach the edge of the ball from its centre."
        ),
    ] = None,
    warm_up: Annotated[
        float | None, typer.Option(help="smoothadv: share of the training in which the radius grows.")
    ] = None,
    copies: Annotated[int | None, typer.Option(help="Noisy copies of each image in a step.")] = None,
    weight: Annotated[
        float | None, typer.Option(help="macer, consistency, adre: λ, weight of the regulariser.")
    ] = None,
    margin: Annotated[float | None, typer.Option(help="macer: γ, beyond it a radius is enough.")] = None,
    inverse_temperature: Annotated[float | None, typer.Option(help="macer: β.")] = None,
    entropy: Annotated[float | None, typer.Option(help="consistency: η.")] = None,
    similarity: Annotated[float | None, typer.Option(help="normal_uniform: β.")] = None,
    around: Annotated[
        str | None, typer.Option(help="data_dependent: the recipe, gaussian, smoothadv or macer.")
    ] = None,
    fixed_share: Annotated[
        float | None, typer.Option(help="data_dependent: share of the training at one level.")
    ] = None,
    step_size: Annotated[float | None, typer.Option(help="data_dependent: of a level's step.")] = None,
    samples: Annotated[
        int | None, typer.Option(help="data_dependent: noisy copies behind a level's step.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the checkpoint that an interrupted run left beside OUT."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an existing bundle; without --resume, an interrupted run as well."
        ),
    ] = False,
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
        "images": images,
        "keep": keep,
        "last_out": last_out,
    }
    of_recipe = {
        "around": around,
        "norm": norm,
        "epsilon": epsilon,
        "attack_steps": attack_steps,
        "warm_up": warm_up,
        "copies": copies,
        "weight": weight,
        "margin": margin,
        "inverse_temperature": inverse_temperature,
        "entropy": entropy,
        "similarity": similarity,
        "fixed_share": fixed_share,
        "step_size": step_size,
        "samples": samples,
    }
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
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        raise CommandError(f"interrupted; `--resume` goes on from {plan.checkpoint}") from None
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes, one speaks
        console.print(f"bundle written to [bold]{bundle}[/bold]; `radii serve --models {bundle}` serves it")
