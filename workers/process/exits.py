"""What the exit code of a process of a worker says to its parent."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Why a process left by itself.

    ``GAVE_UP``: what it runs keeps dying; its parent need not try again. The others are an engine's, between
    two jobs: it has grown too large, has answered as many jobs as it may, or its device is in a state that
    only a new process gets out of.
    """

    GAVE_UP = 3
    GROWN = 10
    JOBS_DONE = 11
    DEVICE_LOST = 12


REASONS: Final[Mapping[int, str]] = {
    Exit.GROWN: "memory",
    Exit.JOBS_DONE: "jobs",
    Exit.DEVICE_LOST: "device",
}
PLANNED: Final = frozenset({Exit.GROWN, Exit.JOBS_DONE})
