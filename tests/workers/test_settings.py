"""The settings of a worker: read from the environment, checked, and handed on to its child processes."""

import pytest
from pydantic import ValidationError

from contract.redis_url import describe_settings
from contract.settings import ProcessSettings
from tests.support.timings import FAST
from workers.settings import WorkerSettings


def test_children_read_the_very_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the environment of their parent says something else."""
    monkeypatch.setenv("RADII_TIMING__TAKEN_SECONDS", "7")
    assert WorkerSettings().timing.taken_seconds == 7
    settings = WorkerSettings.model_validate({"timing": FAST, "threads": 3})
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert WorkerSettings() == settings
    assert ProcessSettings().timing.engine_alive_seconds == 4


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("SILENT_SECONDS", "5", "'silent_seconds' must be > 'job_monitoring_seconds' (5), got 5"),
        ("SILENT_SECONDS", "60", "less than 60, got '60'"),
        (
            "ENGINE_ALIVE_SECONDS",
            "2",
            "'engine_alive_seconds' must be > 'engine_heartbeat_seconds' (5), got 2",
        ),
        (
            "ENGINE_KNOWN_SECONDS",
            "20",
            "'engine_known_seconds' must be > 'engine_alive_seconds' (20), got 20",
        ),
        ("REAPER_SECONDS", "0", "greater than 0, got '0'"),
        ("JOB_MONITORING_SECONDS", "0.5", "valid integer"),
    ],
)
def test_timing_under_which_living_workers_lose_their_jobs_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str
) -> None:
    """The message names the variable or the fields, the rule and the value."""
    monkeypatch.setenv(f"RADII_TIMING__{name}", value)
    with pytest.raises(ValidationError) as refused:
        WorkerSettings()
    told = describe_settings(refused.value)
    assert told.startswith("RADII_TIMING")
    assert rule in told
