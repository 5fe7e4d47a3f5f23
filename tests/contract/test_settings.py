"""What API and workers read alike."""

import pytest

from contract.settings import ProcessSettings
from service.settings import ServiceSettings
from workers.settings import WorkerSettings


def test_what_both_read_is_declared_once() -> None:
    """But for the default model, which each reads for a reason of its own."""
    assert set(ServiceSettings.__annotations__) & set(WorkerSettings.__annotations__) == {"default_model"}


@pytest.mark.parametrize("settings", [ServiceSettings, WorkerSettings])
def test_shared_settings_come_from_the_environment(
    settings: type[ProcessSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not settings().tracing
    monkeypatch.setenv("RADII_REDIS_URL", "redis://store:6379/3")
    monkeypatch.setenv("RADII_LOG_LEVEL", "error")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    read = settings()
    assert (read.redis_url, read.log_level, read.tracing) == ("redis://store:6379/3", "error", True)
