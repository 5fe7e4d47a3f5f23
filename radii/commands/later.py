"""Commands whose modules load torch: imported when they are called, or when their help is shown."""

from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand


class Later(TyperCommand):
    """A command of which the group knows name and help; the options are in its module.

    Attributes:
        place: Module and function, with a colon between.
    """

    place: ClassVar[str]

    @cached_property
    def whole(self) -> Any:  # typer does not say whose click it uses
        """The command with its options."""
        module, _, function = self.place.partition(":")
        app = typer.Typer(rich_markup_mode="rich", add_completion=False)
        app.command(self.name)(getattr(import_module(module), function))
        return typer.main.get_command(app)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, for parsing and for completion."""
        found: list[Any] = self.whole.get_params(ctx)
        return found

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        return self.whole.invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        self.whole.format_help(ctx, formatter)


def add_later(app: typer.Typer, name: str, place: str, text: str) -> None:
    """Add the command at ``place``, a ``module:function``; ``text`` is its line in the list of commands."""

    def nothing() -> None:
        """The whole command is called in place of this."""

    app.command(name, cls=type("Later", (Later,), {"place": place}), help=text)(nothing)
