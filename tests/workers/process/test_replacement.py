"""When an engine is replaced by a new process."""

import mmap

from workers.process.child import Exit
from workers.process.replacement import Replacement, resident_bytes
from workers.settings import WorkerSettings

MIB = 1024 * 1024


class Memory:
    """What a process takes, as a test sets it."""

    def __init__(self, mib: int) -> None:
        self.mib = mib

    def __call__(self) -> int:
        return self.mib * MIB


def begun(memory: Memory, **settings: int) -> Replacement:
    replacement = Replacement(WorkerSettings.model_validate(settings), memory)
    replacement.set_limit()
    return replacement


def test_growth_counts_from_the_first_loaded_model() -> None:
    memory = Memory(900)
    replacement = begun(memory, engine_max_growth_mb=100)
    memory.mib = 1000
    assert replacement.due(jobs=10_000) is None
    memory.mib = 1001
    assert replacement.due(jobs=1) is Exit.GROWN


def test_a_limit_takes_the_place_of_growth() -> None:
    memory = Memory(900)
    replacement = begun(memory, engine_max_rss_mb=2000, engine_max_growth_mb=1)
    memory.mib = 2000
    assert replacement.due(jobs=1) is None
    memory.mib = 2001
    assert replacement.due(jobs=1) is Exit.GROWN


def test_neither_has_to_be() -> None:
    memory = Memory(1)
    replacement = begun(memory, engine_max_growth_mb=0)
    memory.mib = 10**6
    assert replacement.due(jobs=10**9) is None


def test_jobs_are_counted() -> None:
    replacement = begun(Memory(1), engine_max_jobs=3)
    assert replacement.due(jobs=2) is None
    assert replacement.due(jobs=3) is Exit.JOBS_DONE


def test_memory_is_what_the_system_says() -> None:
    """A hundred MiB more are seen as about that: pages straight from the system, no block that an allocator kept."""
    before = resident_bytes()
    with mmap.mmap(-1, 100 * MIB) as held:
        for _ in range(100):
            held.write(bytes(MIB))
        assert 90 * MIB < resident_bytes() - before < 150 * MIB
    assert resident_bytes() - before < 50 * MIB
