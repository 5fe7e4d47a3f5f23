"""docs/clients.md stays true: its commands generate three clients of the running service, and its programs use them."""

import json
from pathlib import Path

import pytest

from tests.clients.generating import (
    CLIENTS,
    COMMANDS,
    NODE,
    PROGRAMS,
    Target,
    run,
)
from tests.support.service import Service


def test_the_page_has_its_programs() -> None:
    """The page's reader has not gone blind."""
    assert set(PROGRAMS) == {"with_radii.py", "client.py", "generate.mjs", "client.ts", "generated.py"}
    assert len(COMMANDS) == 5


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
