"""What a computation reports, and what may end it."""

from contextlib import AbstractContextManager, nullcontext

import smoothing
from contract.certificates import Radius
from contract.choices import Stage


class Observer:
    """Hears how far a computation is; each method does nothing unless it is overridden.

    A method may raise to abandon the computation: the exception comes out unchanged.
    """

    def stage(self, stage: Stage, total: int) -> None:
        """A stage begins, of this many votes; 0 where they are not counted."""

    def advance(self, completed: int) -> None:
        """Votes of this stage are done."""

    def look(self, completed: int, label: int, radius: Radius) -> None:
        """Votes of this stage are done, and certify a class and radii by now; a memory was not asked."""
        del label, radius
        self.advance(completed)

    def span(self, name: str) -> AbstractContextManager[object]:
        """Surrounds a part of the work, such as ``"adapt"``, for tracing."""
        del name
        return nullcontext()


class Reports(smoothing.Observer):
    """Reports the progress of votes to an observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def on_progress(self, completed: int, planned: int) -> None:
        """Votes are done; how many there will be, the stage has said."""
        del planned
        self._observer.advance(completed)
