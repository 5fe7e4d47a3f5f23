"""The tests have the same names everywhere: xdist's workers compare them, and people run one by its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_names_do_not_depend_on_time_hash_seed_or_folder(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The names of this run are found again, seconds later, by a process with another hash seed and folder."""
    here = {item.nodeid for item in request.session.items}
    files = sorted({name.partition("::")[0] for name in here})
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        env={**os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    there = {line for line in ran.stdout.splitlines() if "::" in line}
    assert here <= there
