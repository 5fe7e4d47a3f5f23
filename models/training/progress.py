"""A live account of a training run on a console."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from models.training.validation import Validation


class Progress:
    """Shows steps as a bar and each epoch's numbers as a line; without a console it is silent."""

    def __init__(self, console: Console | None, epochs: int) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=console is None,
        )
        self._task = self._bar.add_task("training", total=epochs, loss=float("nan"))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, epochs_done: int, step: int, steps: int, loss: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=epochs_done + step / steps, loss=loss)

    def epoch_done(self, epoch: int, loss: float, validation: Validation | None) -> None:
        """Write one line with the mean loss and the accuracies on held-out training images, if any."""
        if self._console is not None:
            self._console.print(f"epoch {epoch:3d}  loss {loss:.3f}{_shown(validation)}")


def _shown(validation: Validation | None) -> str:
    if validation is None:
        return ""
    attacked = "" if validation.robust is None else f", under attack {validation.robust:.4f}"
    return f"  held-out accuracy {validation.clean:.4f}, under noise {validation.noisy:.4f}{attacked}"
