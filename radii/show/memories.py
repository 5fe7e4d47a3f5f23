"""Memories as a person reads of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from radii.memory.reading import MemoryLog
from radii.memory.statistics import Measured

if TYPE_CHECKING:  # they need numpy, which the API's environment lacks
    from radii.memory.check import Verdict
    from radii.memory.pairs import Pair


def show_memories(console: Console, memories: Sequence[Measured]) -> None:
    """Prints a table of memories."""
    if not memories:
        console.print("no memory holds a region yet")
        return
    table = Table(box=SIMPLE)
    table.add_column("model", overflow="fold")
    for column in ("digest", "memory", "epoch"):
        table.add_column(column, no_wrap=True, min_width=8)
    for column in ("regions", "bytes", "a region"):
        table.add_column(column, no_wrap=True, justify="right")
    for one in memories:
        table.add_row(
            Text(one.model or ""),
            one.model_digest[:12],
            Text(one.memory),
            (one.epoch or "none")[:8],
            f"{one.regions:,}",
            f"{one.bytes:,}",
            f"{one.bytes_per_region:,.0f}",
        )
    console.print(table)


def show_verdict(console: Console, log: MemoryLog, verdict: "Verdict", seconds: float) -> None:
    """Prints what was proved, or every violation."""
    where = f"{log.name}, epoch {log.state.epoch or 'none'}"
    for violation in verdict.violations:
        console.print(Text(violation), soft_wrap=True)
    if verdict.violations:
        faults = len(verdict.violations)
        words = f"{faults:,} violation{'s' if faults > 1 else ''} in {log.state.length:,} regions"
        console.print(Text.assemble(("FAILS ", "bold red"), f"{where}: {words}"), soft_wrap=True)
        return
    proved = (
        f"{verdict.regions:,} regions, {verdict.comparison.pairs:,} pairs of different labels, none overlaps"
        f"{_nearest(verdict.comparison.nearest)}; chain and centres are right ({seconds:.1f} s)"
    )
    console.print(Text.assemble(("holds ", "bold green"), f"{where}: {proved}"), soft_wrap=True)


def _nearest(pair: "Pair | None") -> str:
    if pair is None:
        return ""
    return f", smallest gap {pair.gap.size:.3g} in {pair.gap.norm} (regions {pair.first} and {pair.second})"
