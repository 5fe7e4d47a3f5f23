"""docs/clients.md stays true: its program with radii's own client runs. `tests/clients` makes the generated ones."""

import sys
from pathlib import Path

from tests.clients.generating import PROGRAMS, Target
from tests.support.service import Service


def test_the_program_with_radiis_own_client_runs(running: Service, tmp_path: Path) -> None:
    """It certifies, follows a certificate as it grows, and prints why a field is refused."""
    (tmp_path / "with_radii.py").write_text(PROGRAMS["with_radii.py"])
    target = Target(running.url, running.key_file.read_text().strip(), running.picture)
    certified, *followed, refused = target.run([sys.executable, "with_radii.py"], tmp_path).splitlines()
    assert certified.startswith("ankle-boot ")
    assert len(followed) >= 2
    assert float(followed[-1].split()[1]) > 0
    assert refused == "'sigma' must be > 0, got -0.5"
