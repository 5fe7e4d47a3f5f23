"""README's commands and programs, and the folder in which a reader types them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import ROOT
from tests.support.timings import RUDE

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
]
PROGRAMS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
_ASKING = ("certify", "predict", "verify", "models", "memory")


def asks(command: str) -> bool:
    """Whether a server has to answer."""
    return command.startswith(("curl ", *(f"radii {name}" for name in _ASKING)))


def make_desk(folder: Path) -> Path:
    """A folder that looks as a reader's does in the clone."""
    (folder / "models").symlink_to(ROOT / "models")
    return folder


def environment(desk: Path, **more: str) -> dict[str, str]:
    """As after `make demo`, with `.venv/bin` on the path; the reader's own package is in the desk alone."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **RUDE, **more}


def run(command: str, desk: Path, **more: str) -> str:
    """Runs a command in a shell, as a reader does; returns what it printed."""
    if command.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=desk,
        env=environment(desk, **more),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
