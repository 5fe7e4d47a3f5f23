"""The command ``radii``. Each command imports what it needs when it runs, so that ``--help`` is quick."""

import sys
from typing import Annotated

import typer

from contract import __version__
from radii.commands import bundle, client, doctor, health, keys, memory, openapi, running
from radii.commands.later import add_later
from radii.extras import Commands

app = typer.Typer(
    name="radii",
    cls=Commands,
    help="Certify image classifiers: a label, and a radius within which no perturbation changes it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _radii(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    # As `python -m radii` has it, so that the user's own packages in the current folder are found.
    sys.path.append("")


app.command("serve")(running.serve)
app.command("demo")(running.demo)
app.command("api")(running.api)
app.command("worker")(running.worker)
app.command("doctor")(doctor.doctor)
app.command("healthcheck")(health.healthcheck)
app.command("certify")(client.certify)
app.command("predict")(client.predict)
app.command("models")(client.models)
app.command("verify")(client.verify)
app.command("openapi")(openapi.openapi)
add_later(
    app,
    "train",
    "radii.commands.training:train",
    "Train a base classifier by RECIPE and write it as a bundle that workers can serve.",
)
add_later(
    app,
    "recipes",
    "radii.commands.training:recipes",
    "List the training recipes, their options with defaults, and what each claims.",
)
add_later(
    app,
    "evaluate",
    "radii.commands.evaluate:evaluate",
    "Measure bundles on test images and write CSV, JSON and an HTML report.",
)
app.add_typer(bundle.app, name="bundle", help="Make and check bundles, the models that workers serve.")
app.add_typer(keys.app, name="keys", help="Create, list and revoke API keys.")
app.add_typer(memory.app, name="memory", help="Inspect, export and check the memory of certified regions.")
