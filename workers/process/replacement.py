"""When an engine is replaced by a new process: only that gives back the memory that a library leaks."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import torch

from workers.process.child import Exit
from workers.settings import WorkerSettings

log = structlog.get_logger()
_MIB: Final = 1024 * 1024
_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Returns the main memory that this process takes; its peak use where the present one is unknown."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def device_bytes() -> int:
    """Returns the GPU memory that this process has reserved; 0 without a GPU."""
    return torch.cuda.memory_reserved() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]


class Replacement:
    """Decides between two jobs whether a new process takes the engine's place."""

    def __init__(self, settings: WorkerSettings, resident: Callable[[], int] = resident_bytes) -> None:
        self._settings = settings
        self._resident = resident
        self._limit: int | None = None

    def set_limit(self) -> None:
        """Sets the limit of memory; called when the first model is loaded, which is no growth."""
        now = self._resident()
        if self._settings.engine_max_rss_mb:
            self._limit = self._settings.engine_max_rss_mb * _MIB
            if now > self._limit:
                log.warning(
                    "engine starts above its limit and is replaced after every job",
                    engine_max_rss_mb=self._settings.engine_max_rss_mb,
                    resident_mb=now // _MIB,
                )
        elif self._settings.engine_max_growth_mb:
            self._limit = now + self._settings.engine_max_growth_mb * _MIB

    def due(self, jobs: int) -> Exit | None:
        """Returns why the engine has to leave after ``jobs`` jobs, or None."""
        if self._limit is not None and self._resident() > self._limit:
            return Exit.GROWN
        most = self._settings.engine_max_jobs
        return Exit.JOBS_DONE if most and jobs >= most else None
