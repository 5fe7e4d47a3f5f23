"""Numbers, tables and progress as a person reads them. Every radius is rounded down once more, never up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from contract.certificates import Verification
from contract.choices import Stage
from contract.jobs import Progress as JobProgress
from contract.models import ModelInfo, ModelList

_STAGES: Final = {
    Stage.QUEUED: "waiting for a worker",
    Stage.LOADING: "loading the model",
    Stage.CHOOSING: "choosing the noise level",
    Stage.ADAPTING: "adapting the model to the noise",
    Stage.SAMPLING: "sampling",
    Stage.REMEMBERING: "comparing with the memory of certified regions",
    Stage.DONE: "done",
}
_ACCURACIES: Final = ("clean_accuracy", "noisy_accuracy", "noisy_accuracy_adapted")


def floor(value: float, decimals: int = 4) -> str:
    """Returns ``value`` with so many decimals, rounded down.

    >>> floor(0.81239), floor(0.3)
    ('0.8123', '0.3000')
    """
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR))


def ceiling(value: float, decimals: int = 4) -> str:
    """Returns ``value`` with so many decimals, rounded up: for bounds from above.

    >>> ceiling(0.81231), ceiling(0.3)
    ('0.8124', '0.3000')
    """
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_CEILING))


def in_255(value: float) -> str:
    """Returns a radius in units of 0–255 pixels, rounded down.

    >>> in_255(0.5)
    '127.5'
    """
    return str((Decimal(repr(value)) * 255).quantize(Decimal("0.1"), rounding=ROUND_FLOOR))


def show_models(console: Console, listing: ModelList) -> None:
    """Prints a table of models, with what their cards say was measured; `--json` tells all."""
    table = Table(box=SIMPLE_HEAD)
    longest = max((len(model.name) for model in listing.models), default=0)
    # A name is there to be copied: it is never cut short, and folded only if it is very long.
    table.add_column("model", overflow="fold", min_width=min(longest, 32))
    for head in ("ready", "input", "σ", "clean", "in noise", "adapted"):
        table.add_column(head, overflow="fold")
    for model in listing.models:
        table.add_row(
            Text(model.name, "bold" if model.name == listing.default else ""),
            "yes" if model.ready else "no",
            "×".join(map(str, model.input_shape)),
            "" if model.sigma is None else f"{model.sigma:g}",
            *(_accuracy(model, name) for name in _ACCURACIES),
        )
    console.print(table)
    for model in listing.models:
        if not model.ready:
            console.print(Text(f"  {model.name} is not ready: {model.reason or 'no worker is alive'}"))


def _accuracy(model: ModelInfo, name: str) -> str:
    """One of a model's metrics in per cent, with its noise level where that is not the recommended one."""
    found = next((metric for metric in model.metrics if metric.metric == name), None)
    if found is None:
        return ""
    level = "" if found.sigma in (None, model.sigma) else f" at {found.sigma:g}"
    return f"{found.value:.1%}{level}"


def show_verification(console: Console, verification: Verification) -> None:
    """Prints what was recomputed."""
    table = Table("check", "", "", title=f"certificate {verification.certificate_id}", title_justify="left")
    for check in verification.checks:
        table.add_row(
            check.name, "[green]holds[/green]" if check.passed else "[red]FAILS[/red]", check.message
        )
    console.print(table)


def stage_words(progress: JobProgress) -> str:
    """Returns what a worker is doing, and what is certified by now.

    >>> stage_words(JobProgress(stage=Stage.SAMPLING, radius_so_far=0.51239))
    'sampling, certified so far: 0.5123'
    """
    words = _STAGES[progress.stage]
    if progress.radius_so_far:
        words += f", certified so far: {floor(progress.radius_so_far)}"
    return words


@contextmanager
def sampling_bar(console: Console) -> Iterator[Callable[[JobProgress], None]]:
    """Shows votes and the radius certified so far while a job runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_STAGES[Stage.QUEUED], total=1, unit="votes")

        def update(progress: JobProgress) -> None:
            words = stage_words(progress)
            unit = "regions" if progress.stage is Stage.REMEMBERING else "votes"
            total = progress.total or 1
            bar.update(task, description=words, completed=progress.completed, total=total, unit=unit)

        yield update
