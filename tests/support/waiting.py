"""Waiting for what is to happen, and for nothing else."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
_POLL_SECONDS = 0.03


def until(look: Callable[[], Found], what: object = "it did not happen", seconds: float = 240) -> Found:
    """Looks again and again until it sees something; returns that.

    The time limit ends a test that has failed. It is long, as the machine may be busy.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}, in {seconds:g} s: {found!r}")
        time.sleep(_POLL_SECONDS)
    return found
