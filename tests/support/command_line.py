"""The command line, run in this process or in one of its own."""

import os
import subprocess
import sys
import traceback
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import structlog
from typer.testing import CliRunner

from radii.main import app

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "models" / "zoo" / "fashion-mnist-gaussian" / "examples"
PICTURE = EXAMPLES / "09-ankle-boot.png"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


def radii(*arguments: str, cwd: Path | None = None, **environment: str) -> Ran:
    """Runs a command in this process, which has loaded all it needs."""
    try:
        with chdir(cwd or Path.cwd()):
            ran = CliRunner().invoke(app, arguments, env={"COLUMNS": "120", **environment})
    finally:
        structlog.reset_defaults()  # a command quietens the log of its process
    stderr = ran.stderr
    if ran.exc_info is not None and not isinstance(ran.exception, SystemExit):
        stderr += "".join(traceback.format_exception(*ran.exc_info))
    return Ran(ran.exit_code, ran.stdout, stderr)


def radii_process(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "radii", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def run_without(missing: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that cannot import some packages."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({missing!r}))\n"
        "from radii.main import app\n"
        "app(prog_name='radii')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )
