"""Tracing costs nothing when it is off, and a missing library is told when it is on."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
FOREIGN = ("opentelemetry.exporter", "opentelemetry.instrumentation", "opentelemetry.sdk.trace.export")


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )


def test_nothing_of_it_is_loaded_when_it_is_off() -> None:
    """Beyond what the framework loads by itself."""
    program = (
        f"FOREIGN = {FOREIGN}; import sys; from service.app import create_app; from service.settings import ServiceSettings;"
        "create_app(ServiceSettings()); print([name for name in sys.modules if name.startswith(FOREIGN)])"
    )
    assert run(program).stdout == "[]\n"


def test_a_missing_library_is_told_and_requests_are_served() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.exporter'] = None;"
        "from service.app import create_app; from service.settings import ServiceSettings;"
        "create_app(ServiceSettings(otel=True))"
    )
    assert "radii[otel]" in run(program).stderr


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({}, False), ({"RADII_OTEL": "1"}, True), ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318"}, True)],
)
def test_it_is_on_when_asked_for(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By us, or by OpenTelemetry's own variable."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ServiceSettings().tracing is wanted
