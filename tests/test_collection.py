"""The tests have the same names everywhere: xdist's workers compare them, and people run one by its name."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def collect(hash_seed: int, temporary: Path) -> list[str]:
    """The names of all tests, collected by a new process."""
    temporary.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [line for line in ran.stdout.splitlines() if "::" in line]


def test_names_do_not_depend_on_time_hash_seed_or_folder(tmp_path: Path) -> None:
    """Two collections take more than a second, so the clock shows something else, too."""
    first = collect(1, tmp_path / "one")
    assert len(first) > 100
    assert collect(2, tmp_path / "two") == first
