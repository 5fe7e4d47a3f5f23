"""``radii train``: make a base classifier and the bundle that holds it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.errors import ModelsError
from models.training import train as run
from models.training.options import plan_from, training_options
from models.training.recipes import RECIPES, recipe_parameters
from radii.commands.options import options_from
from radii.errors import CommandError


def recipes() -> None:
    """List the training recipes, their options with defaults, and what each claims."""
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


@options_from(training_options())
def train(
    recipe: Annotated[str, typer.Argument(help="How to train; `radii recipes` lists the ways.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write; its name is the bundle's.")],
    fields: Mapping[str, Any],
) -> None:
    """Train a base classifier by RECIPE and write it as a bundle that workers can serve."""
    console = Console(stderr=True)
    try:
        plan = plan_from(recipe, out, fields)
        bundle = run(plan, console=console)
    except ModelsError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        raise CommandError(f"interrupted; `--resume` goes on from {plan.checkpoint}") from None
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes, one speaks
        console.print(f"bundle written to [bold]{bundle}[/bold]; `radii serve --models {bundle}` serves it")
