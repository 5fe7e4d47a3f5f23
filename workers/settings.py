"""What an operator may set for workers, read once from ``RADII_*`` and passed down."""

import os
from typing import Final

from pydantic import Field

from contract.redis_url import without_password
from contract.settings import ExecutionSettings, ProcessSettings, Timing

RQ_RECORD_SECONDS: Final = 60  # RQ keeps a worker's records this much longer than its next report is due


class WorkerTiming(Timing):
    """When a worker counts as lost. One that is only slow must keep its job.

    All workers of a deployment need the same values: one of them searches for the lost jobs of all.
    """

    engine_boot_seconds: float = Field(
        default=120, gt=0, description="Seconds that a job waits for an engine that is starting."
    )
    worker_ttl_seconds: int = Field(
        default=45,
        ge=1,
        description="An idle worker reports at least once in this many seconds; RQ drops it a minute later.",
    )
    job_monitoring_seconds: int = Field(
        default=5, ge=1, description="Seconds between two reports of a worker that its job is running."
    )
    reaper_seconds: float = Field(
        default=3, gt=0, description="Seconds between two searches for lost jobs, by all workers together."
    )
    taken_seconds: float = Field(
        default=10,
        gt=0,
        description="A job that is off the queue and has not begun after this many seconds is lost.",
    )
    silent_seconds: float = Field(
        default=15,
        gt=0,
        lt=RQ_RECORD_SECONDS,
        description="A running job whose worker has not reported for this many seconds is silent.",
    )
    silent_grace_seconds: float = Field(
        default=8,
        gt=0,
        description="A silent job is lost after this many more seconds. An outage of Redis silences all.",
    )

    longer_than = (*Timing.longer_than, ("silent_seconds", "job_monitoring_seconds"))


class WorkerSettings(ProcessSettings, ExecutionSettings):
    """Settings of one worker."""

    timing: WorkerTiming = WorkerTiming()

    default_model: str | None = Field(default=None, description="Loaded before the first request.")
    niceness: int = Field(
        default=10,
        ge=0,
        le=19,
        description="Niceness of the engine, so that an API on the same machine goes first.",
    )
    resident_models: int = Field(
        default=4, ge=1, description="Models kept loaded; the least recently used one goes first."
    )
    resident_variants: int = Field(
        default=16, ge=1, description="Adapted models kept loaded; the least recently used one goes first."
    )
    resident_memories: int = Field(
        default=8,
        ge=1,
        description="Memories of certified regions kept mirrored; the least recently used goes first.",
    )
    stop_grace: float = Field(default=600, ge=0, description="Seconds that a running job gets at shutdown.")
    engine_max_rss_mb: int = Field(
        default=0,
        ge=0,
        description="Resident MiB above which an engine is replaced between two jobs; 0: see the growth.",
    )
    engine_max_growth_mb: int = Field(
        default=4096,
        ge=0,
        description="MiB by which an engine may grow after its first model is loaded; 0: no limit.",
    )
    engine_max_jobs: int = Field(
        default=0, ge=0, description="Jobs after which an engine is replaced; 0: never."
    )
    engine_hang_seconds: float = Field(
        default=60,
        gt=0,
        description="Seconds after which an engine that still works on an abandoned job is killed.",
    )

    def environment(self) -> dict[str, str]:
        """Returns the environment with which a child process reads the same settings.

        A password from a file stays in the file: children read it themselves.
        """
        chosen = {
            f"RADII_{name.upper()}": os.pathsep.join(map(str, value)) if name == "models" else str(value)
            for name, value in self
            if value is not None and name != "timing"
        }
        chosen |= {f"RADII_TIMING__{name.upper()}": str(value) for name, value in self.timing}
        if self.redis_password_file is not None:
            chosen["RADII_REDIS_URL"] = without_password(self.redis_url)
        # OpenMP's idle threads spin by default: much slower on a busy machine, hardly faster on a quiet one.
        return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **chosen}
