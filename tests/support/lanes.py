"""Which tests run beside which when pytest-xdist runs several at once.

A lane is a list of tests that one process runs one after the other. Modules that share a stack are one lane; every other
module is a lane of its own, so that what it prepares is prepared once. Lanes that take long are begun first.
"""

from pathlib import PurePath
from typing import Final

from xdist.scheduler import LoadScopeScheduling

SHARED: Final = {"tests/end_to_end": "stack", "tests/chaos": "chaos"}
"""Folders whose modules share a stack."""

APART: Final = (
    "tests/end_to_end/test_compose.py",
    "tests/end_to_end/test_library_page.py",
    "tests/end_to_end/test_memory_chaos.py",
    "tests/end_to_end/test_operations.py",
    "tests/end_to_end/test_readme.py",
    "tests/end_to_end/test_tracing.py",
)
"""Modules of those folders that start what they need themselves."""

LONG: Final = (
    "stack",
    "chaos",
    "tests/radii/commands/test_evaluate.py",
    "tests/end_to_end/test_operations.py",
    "tests/end_to_end/test_readme.py",
    "tests/docs/test_training_page.py",
    "tests/smoothing/test_coverage.py",
    "tests/service/test_schemathesis.py",
    "tests/test_collection.py",
    "tests/end_to_end/test_memory_chaos.py",
)
"""What takes long, the longest first."""


def lane(path: str) -> str:
    """The lane of a module, whose path is relative to the root of the repository."""
    return path if path in APART else SHARED.get(PurePath(path).parent.as_posix(), path)


def place(path: str) -> int:
    """Where a module stands among all that is begun."""
    return LONG.index(lane(path)) if lane(path) in LONG else len(LONG)


class Lanes(LoadScopeScheduling):
    """Gives whole lanes to the processes of pytest-xdist."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid.partition("::")[0])
