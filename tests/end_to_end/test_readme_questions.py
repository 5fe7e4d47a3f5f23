"""README stays true: what it asks a server is asked of one, in the order in which a reader meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.readme import COMMANDS, PROGRAMS, asks, environment, make_desk, run
from tests.support.service import Service


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_desk(tmp_path_factory.mktemp("desk"))


@pytest.mark.parametrize("command", [command for command in COMMANDS if asks(command)])
def test_a_question_of_readme_is_answered(command: str, desk: Path, running: Service) -> None:
    """By the server of these tests, whose key is asked for."""
    said = run(
        adapt(command, running),
        desk,
        RADII_URL=running.url,
        RADII_REDIS_URL=running.redis_url,
        RADII_DATA_DIR=str(running.data_dir),
    )
    if command.startswith("curl"):
        assert running.final(json.loads(said)["id"]).status == "succeeded"


def adapt(command: str, running: Service) -> str:
    """Points a command at this test's server and its key, and certificates at few votes."""
    command = command.replace("http://127.0.0.1:8000", running.url)
    command = command.replace("~/.local/share/radii/api-key", str(running.key_file))
    if command.startswith("radii certify") and " --n " not in command:
        command = command.replace(" > ", " --n 1000 > ") if " > " in command else f"{command} --n 1000"
    return command


@pytest.mark.parametrize("place", range(len(PROGRAMS)))
def test_a_program_of_readme_runs(place: int, desk: Path, running: Service) -> None:
    """As it stands: `RADII_URL` and `RADII_API_KEY` name this test's server and key."""
    where = {"RADII_URL": running.url, "RADII_API_KEY": running.key_file.read_text().strip()}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAMS[place]],
        cwd=desk,
        env=environment(desk, **where),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
