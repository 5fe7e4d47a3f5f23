"""Observers and keepers of a computation, for tests: they record, abandon and crash."""

from certifier import Observer, Record, VoteKeeper
from contract.certificates import Radius
from contract.choices import Stage


class Recording(Observer):
    """Keeps what it hears; raises what it is given after so many votes."""

    def __init__(self, error: BaseException | None = None, after: int = 0) -> None:
        self.stages: list[tuple[Stage, int]] = []
        self.radii: list[float] = []
        self.completed = 0
        self._error, self._after = error, after

    def stage(self, stage: Stage, total: int) -> None:
        self.stages.append((stage, total))

    def look(self, completed: int, label: int, radius: Radius) -> None:
        self.radii.append(radius.l2)
        super().look(completed, label, radius)

    def advance(self, completed: int) -> None:
        self.completed = completed
        if self._error is not None and completed >= self._after:
            raise self._error


class InMemory(VoteKeeper):
    """Keeps the votes of one certification for the next attempt."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.records: dict[str, Record] = {}

    def read(self, noise: str) -> Record | None:
        return self.records.get(noise)

    def write(self, noise: str, record: Record, *, now: bool = False) -> None:
        del now
        self.records[noise] = record
