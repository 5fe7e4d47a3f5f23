"""The evaluations behind docs/results.md: what is run, what for, how long; in ``evaluations.toml``."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from evaluation.papers.measures import Entry


class Evaluation(Entry):
    """One call of ``radii evaluate``.

    Attributes:
        name: Of its folder in docs/results.
        bundles: What is evaluated.
        options: Options of the command.
        purpose: What it is for, in one line.
        minutes: On two CPU cores at 8 000 votes a second.
    """

    name: str
    bundles: tuple[str, ...]
    options: Mapping[str, str | int]
    purpose: str
    minutes: int

    @property
    def command(self) -> str:
        """The command line, without its folder."""
        return " ".join(
            ["radii", "evaluate", *self.bundles, *(f"--{key} {value}" for key, value in self.options.items())]
        )

    @property
    def votes(self) -> str | None:
        """The estimation votes, where they are given."""
        return str(self.options["n"]) if "n" in self.options else None


EVALUATIONS: Final = TypeAdapter(tuple[Evaluation, ...]).validate_python(
    tomllib.loads(Path(__file__).with_name("evaluations.toml").read_text(encoding="utf-8"))["evaluations"]
)
"""In the order in which they are run."""
