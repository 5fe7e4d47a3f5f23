"""Waiting for a server that is busy: as long as it asks for, and not for ever."""

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


class Patience:
    """How long a command waits for a busy server, all its requests together."""

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        """Waits ``seconds`` in all; ``tell`` gets one line for each reason."""
        self._seconds = self._left = seconds
        self._tell = tell
        self._told: object = None

    def wait(self, response: httpx.Response, kind: object, reason: str) -> bool:
        """Waits as long as a refusal asks for, and says why, unless the last wait was for the same kind.

        Returns:
            Whether to ask again; not where it asks for no wait, or for a longer one than is left.
        """
        pause = retry_after(response)
        return pause is not None and self._pause(pause, kind, reason)

    def wait_for_return(self, reason: str) -> bool:
        """Waits a second for a server that is away, as while it is started again, and says why."""
        return self._pause(_AWAY_SECONDS, "away", reason)

    def _pause(self, pause: float, kind: object, reason: str) -> bool:
        if pause > self._left:
            return False
        if kind != self._told:
            self._told = kind
            self._tell(
                f"waiting {pause:.0f} s, {self._seconds:g} s in all at most: {' '.join(reason.split())}"
            )
        time.sleep(pause)
        self._left -= pause
        return True


def retry_after(response: httpx.Response) -> float | None:
    """Returns the seconds, at least one, after which a request may be repeated; None if it may not.

    ``Retry-After`` is a number of seconds or a date (RFC 9110, 10.2.3).

    >>> retry_after(httpx.Response(503, headers={"Retry-After": "30"}))
    30.0
    >>> retry_after(httpx.Response(429, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}))
    1.0
    >>> retry_after(httpx.Response(503)), retry_after(httpx.Response(500, headers={"Retry-After": "30"}))
    (None, None)
    """
    said = response.headers.get("Retry-After", "").strip()
    if response.status_code not in _BUSY:
        return None
    if _SECONDS.fullmatch(said):
        return max(1.0, float(said))
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(1.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
