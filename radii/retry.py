"""Waiting for a server that is busy or away: as long as it asks for, up to a limit."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

_BUSY: Final = frozenset({429, 503})
_AWAY_SECONDS: Final = 1.0
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class WaitLimit:
    """How long to wait for a server before giving up; it starts anew when the server answers."""

    def __init__(self, seconds: float, on_wait: Callable[[str], None]) -> None:
        """Waits ``seconds`` in all; ``on_wait`` gets one line for each reason."""
        self._seconds = self._left = seconds
        self._on_wait = on_wait
        self._reported: object = None

    def reset(self) -> None:
        """Starts anew."""
        self._left, self._reported = self._seconds, None

    def wait(self, response: httpx.Response, kind: object, reason: str) -> bool:
        """Waits as long as a busy server asks for.

        Returns:
            Whether to try again; False where the server asks for no wait, or for a longer one than is left.
        """
        pause = retry_after(response)
        return pause is not None and self._pause(pause, kind, reason)

    def wait_for_return(self, reason: str) -> bool:
        """Waits a second for a server that is away, for instance while it restarts."""
        return self._pause(_AWAY_SECONDS, "away", reason)

    def _pause(self, pause: float, kind: object, reason: str) -> bool:
        if pause > self._left:
            return False
        if kind != self._reported:  # the same reason is reported once, however often it recurs
            self._reported = kind
            self._on_wait(
                f"waiting {pause:.0f} s, at most {self._seconds:g} s in all: {' '.join(reason.split())}"
            )
        time.sleep(pause)
        self._left -= pause
        return True


def retry_after(response: httpx.Response) -> float | None:
    """Returns the seconds, at least one, after which to repeat a request; None where that is of no use.

    ``Retry-After`` is a number of seconds or a date (RFC 9110, 10.2.3).

    >>> retry_after(httpx.Response(503, headers={"Retry-After": "30"}))
    30.0
    >>> retry_after(httpx.Response(429, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}))
    1.0
    >>> retry_after(httpx.Response(503)), retry_after(httpx.Response(500, headers={"Retry-After": "30"}))
    (None, None)
    """
    value = response.headers.get("Retry-After", "").strip()
    if response.status_code not in _BUSY:
        return None
    if _SECONDS.fullmatch(value):
        return max(1.0, float(value))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(1.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
