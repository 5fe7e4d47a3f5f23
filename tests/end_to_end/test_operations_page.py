"""docs/operations.md stays true: what it tells an operator to ask of a running service is asked of one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.choices import JobStatus
from tests.docs.pages import commands_of
from tests.end_to_end.running import Running

COMMANDS = commands_of("stack")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str, running: Running, tmp_path: Path) -> None:
    """In a shell, with the server of the tests in place of the operator's."""
    if command.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    if "export" in command:  # there must be something
        assert running.certify(n=200, memory="default").status is JobStatus.SUCCEEDED
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", running.url)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "RADII_REDIS_URL": running.redis_url},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert "export" not in command or (tmp_path / "memory.jsonl").read_text().count("\n") >= 2
