"""When an answer has to be ready, and how many votes fit until then."""

import time

_SHARE = 0.8  # of the time that is left; the rest is for what was not foreseen


class TimeBudget:
    """Time until a moment of the monotonic clock, or without end.

    Args:
        seconds: From the beginning of the work; None: there is no end.
        spent: Seconds that earlier attempts worked.
    """

    def __init__(self, seconds: float | None, spent: float = 0.0) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds - spent

    @property
    def is_spent(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and time.monotonic() >= self._end

    def part(self, share: float) -> "TimeBudget":
        """Returns the budget of something that may take this share of the time that is left."""
        return TimeBudget(None if self._end is None else (self._end - time.monotonic()) * share)

    def votes(self, wanted: int, *, least: int, rate: float, share: float = 1.0) -> int:
        """Returns how many votes to plan: what is wanted, or less if time is short.

        The number depends on time and on the measured rate alone, never on votes, so that bounds stay valid.

        Args:
            wanted: Votes without an end.
            least: Votes that are planned however late it is.
            rate: Votes per second.
            share: Of the time that is left.
        """
        if self._end is None:
            return wanted
        seconds = max(0.0, self._end - time.monotonic()) * share * _SHARE
        return max(min(wanted, int(seconds * rate)), min(least, wanted))
