"""Progress bars of a job and of a memory's replay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from contract.choices import Stage
from contract.jobs import Progress as JobProgress
from radii.show.numbers import floor

_STAGES: Final = {
    Stage.QUEUED: "waiting for a worker",
    Stage.LOADING: "loading the model",
    Stage.CHOOSING: "choosing the noise level",
    Stage.ADAPTING: "adapting the model to the noise",
    Stage.SAMPLING: "sampling",
    Stage.REMEMBERING: "comparing with the memory of certified regions",
    Stage.DONE: "done",
}


def stage_words(progress: JobProgress) -> str:
    """Returns what the worker is doing, and the radius certified so far.

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
    with _bar(console) as bar:
        task = bar.add_task(_STAGES[Stage.QUEUED], total=1, unit="votes")

        def update(progress: JobProgress) -> None:
            words = stage_words(progress)
            unit = "regions" if progress.stage is Stage.REMEMBERING else "votes"
            total = progress.total or 1
            bar.update(task, description=words, completed=progress.completed, total=total, unit=unit)

        yield update


@contextmanager
def replay_bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Shows the progress of a replay."""
    with _bar(console) as bar:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(f"checking {what}", total=total, unit="")
            bar.update(tasks[what], advance=done)

        yield report


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)
