"""When an answer has to be ready, and how many votes fit until then."""

import time

_SHARE = 0.8  # of the time that is left; the rest is for what was not foreseen


class Deadline:
    """A moment of the monotonic clock, or none.

    Args:
        seconds: From the beginning of the work; None: there is no deadline.
        spent: Seconds that were worked before, by attempts that were lost.
    """

    def __init__(self, seconds: float | None, spent: float = 0.0) -> None:
        self._moment = None if seconds is None else time.monotonic() + seconds - spent

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self._moment is not None and time.monotonic() >= self._moment

    def part(self, share: float) -> "Deadline":
        """Returns the deadline of something that may take this share of the time that is left."""
        return Deadline(None if self._moment is None else (self._moment - time.monotonic()) * share)

    def votes(self, wanted: int, *, least: int, rate: float, share: float = 1.0) -> int:
        """Returns how many votes to plan: what is wanted, or less if time is short.

        The number depends on time and on the measured rate alone, never on votes, so that bounds stay valid.

        Args:
            wanted: Votes without a deadline.
            least: Votes that are planned however late it is.
            rate: Votes per second.
            share: Of the time that is left.
        """
        if self._moment is None:
            return wanted
        seconds = max(0.0, self._moment - time.monotonic()) * share * _SHARE
        return max(min(wanted, int(seconds * rate)), min(least, wanted))
