"""docs/clients.md stays true: its commands generate three clients of the running service, and its programs use them."""

import json
import sys
from pathlib import Path

import pytest

from tests.end_to_end.clients.generating import (
    CLIENTS,
    COMMANDS,
    NODE,
    PROGRAMS,
    Target,
    add_node_packages,
    run,
)
from tests.support.service import Service


@pytest.fixture
def folder(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """One that has what the page tells a reader to install."""
    add_node_packages(tmp_path, pytestconfig)
    return tmp_path


def test_the_page_has_its_programs() -> None:
    """The page's reader has not gone blind."""
    assert set(PROGRAMS) == {"with_radii.py", "client.py", "generate.mjs", "client.ts", "generated.py"}
    assert len(COMMANDS) == 5


def test_the_program_with_radiis_own_client_runs(running: Service, tmp_path: Path) -> None:
    """It certifies, follows a certificate as it grows, and prints why a field is refused."""
    (tmp_path / "with_radii.py").write_text(PROGRAMS["with_radii.py"])
    target = Target(running.url, running.key_file.read_text().strip(), running.picture)
    certified, *followed, refused = target.run([sys.executable, "with_radii.py"], tmp_path).splitlines()
    assert certified.startswith("ankle-boot ")
    assert len(followed) >= 2
    assert float(followed[-1].split()[1]) > 0
    assert refused == "'sigma' must be > 0, got -0.5"


@pytest.mark.parametrize("generator", CLIENTS)
def test_a_generated_client_makes_its_round_trip(running: Service, folder: Path, generator: str) -> None:
    """As the page tells it: generated, checked strictly, and run."""
    target = Target(running.url, running.key_file.read_text().strip(), running.picture)
    CLIENTS[generator](target, folder)


def test_the_packages_of_the_page_are_those_that_are_tried() -> None:
    """What a reader is told to install is what the lock file holds."""
    package = json.loads((NODE / "package.json").read_text())
    told = [line.split()[2:] for line in COMMANDS if line.startswith("npm install")]
    assert told[0] == list(package["dependencies"])
    assert {*told[1][1:], "@redocly/cli"} == set(package["devDependencies"])


def test_a_linter_has_nothing_to_say(running: Service, folder: Path) -> None:
    """Neither an error nor a warning by the recommended rules."""
    (folder / "openapi.json").write_bytes(running.http.get("/openapi.json").content)
    said = run(["redocly", "lint", "openapi.json", "--max-problems", "5"], folder)
    assert "Your API description is valid" in said
    assert "warning" not in said
