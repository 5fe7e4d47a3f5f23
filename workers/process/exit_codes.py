"""What the exit code of a process of a worker says, and what its parent does then.

===========  ====  ============  ==============================  ==================================
name         code  of            because                         its parent
===========  ====  ============  ==============================  ==================================
(none)       0     all           it was asked to end             starts another, unless it asked
GAVE_UP      3     supervisor    a part of it keeps dying        gives up, too
GROWN        10    engine        it takes too much memory        starts another
JOBS_DONE    11    engine        it has had its share of jobs    starts another
DEVICE_LOST  12    engine        its GPU needs a new process     starts another
EX_TEMPFAIL  75    queue worker  Redis was lost                  starts another
(others)           all           it was killed, or an error      starts another; gives up after five
                                                                 deaths in a row, soon after starts
===========  ====  ============  ==============================  ==================================
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Codes of our own; the module's table says what each means."""

    GAVE_UP = 3
    GROWN = 10
    JOBS_DONE = 11
    DEVICE_LOST = 12


# As they stand in logs and in `radii_worker_restarts`.
REASONS: Final[Mapping[int, str]] = {
    Exit.GROWN: "memory",
    Exit.JOBS_DONE: "jobs",
    Exit.DEVICE_LOST: "device",
}
PLANNED: Final = frozenset({Exit.GROWN, Exit.JOBS_DONE})
