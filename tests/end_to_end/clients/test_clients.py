"""docs/clients.md stays true: its commands generate three clients of the running service, and its programs use them."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import ROOT, Running

PAGE = (ROOT / "docs" / "clients.md").read_text()
PROGRAMS = {
    match[2]: match[1] for match in re.findall(r"(```\w+\n((?:#|//) ([\w.]+).*?)```)", PAGE, flags=re.DOTALL)
}
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]
NODE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
# What openapi-generator 7.26 says of every document, even of one with a single operation, and of every list in
# a form; the code that it makes is right all the same, as the program shows.
SAID_ALWAYS = ("Failed to get the schema name: null", "Could not compute datatypeWithEnum from float, null")


def reach(running: Running) -> dict[str, str]:
    """What a client has to know of the service."""
    return {"RADII_URL": running.url, "RADII_API_KEY": running.key_file.read_text().strip()}


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Runs a command with the tools of this environment; returns all that it said."""
    path = os.pathsep.join([str(folder / "node_modules" / ".bin"), str(SCRIPTS), os.environ["PATH"]])
    # Of the repository's own packages nothing may be found, and nothing of its settings.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**clean, "PATH": path, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def command(start: str, running: Running) -> list[str]:
    """The page's command that starts so, for this test's server."""
    (found,) = (line for line in COMMANDS if line.startswith(start))
    return found.replace("http://127.0.0.1:8000", running.url).split()


def check_types(folder: Path, *arguments: str) -> None:
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(folder / ".mypy_cache")]
    assert "Success" in run([*mypy, *arguments], folder)


def check_what_it_prints(printed: str, code: str, field: str) -> None:
    """A certificate that was verified, and a problem that names its field."""
    certified, refused = printed.splitlines()
    label, radius, valid = certified.split()
    assert (label, valid) == ("ankle-boot", "valid")
    assert 0 < float(radius) < 3
    assert refused.startswith(f"{code} /{field} '{field}' must be ")


def test_the_page_has_its_programs() -> None:
    """The parser above has not gone blind."""
    assert set(PROGRAMS) == {"client.py", "generate.mjs", "client.ts", "generated.py"}
    assert len(COMMANDS) == 5


def test_openapi_python_client(running: Running, tmp_path: Path) -> None:
    """No warning; strict types, the generated ones too."""
    said = run([*command("openapi-python-client", running), "--fail-on-warning"], tmp_path)
    assert said.strip() == "Generating radii-client"
    package = tmp_path / "radii-client" / "radii_client"
    package.rename(tmp_path / "radii_client")
    (tmp_path / "client.py").write_text(PROGRAMS["client.py"])
    check_types(tmp_path, "--strict", "--config-file=", "radii_client", "client.py")
    printed = run([sys.executable, "client.py", str(running.picture)], tmp_path, **reach(running))
    check_what_it_prints(printed, "invalid_field", "sigma")


def test_openapi_generator(running: Running, tmp_path: Path) -> None:
    """No warning of the document; the program's types are strict, the generated ones as strict as their makers'."""
    said = run(command("openapi-generator-cli", running), tmp_path)
    warnings = [line for line in said.splitlines() if "WARN" in line or "ERROR" in line]
    assert [line for line in warnings if not line.endswith(SAID_ALWAYS)] == []
    project = tmp_path / "radii-generated"
    (project / "radii_generated").rename(tmp_path / "radii_generated")
    (tmp_path / "generated.py").write_text(PROGRAMS["generated.py"])
    check_types(tmp_path, f"--config-file={project / 'pyproject.toml'}", "radii_generated")
    # Its constructors have no types of their own, so that calling them cannot be strict.
    lenient = ("--allow-untyped-calls", "--follow-imports=silent", "--config-file=")
    check_types(tmp_path, "--strict", *lenient, "generated.py")
    printed = run([sys.executable, "generated.py", str(running.picture)], tmp_path, **reach(running))
    check_what_it_prints(printed, "too_few_samples", "n")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A folder with the packages of the lock file, which are fetched once per lock file."""
    lock = (NODE / "package-lock.json").read_bytes()
    assert b'"resolved"' not in lock, "it would name a registry; use --omit-lockfile-registry-resolved"
    assert pytestconfig.cache is not None
    cached = pytestconfig.cache.mkdir(f"node-{hashlib.sha256(lock).hexdigest()[:16]}")
    if not (cached / "fetched").exists():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE / name, cached)
        run([str(SCRIPTS / "npm"), "ci", "--no-audit", "--no-fund"], cached)
        (cached / "fetched").touch()
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(cached / "node_modules")
    for name in ("package.json", "tsconfig.json", "redocly.yaml"):
        shutil.copy(NODE / name, folder)
    return folder


def test_openapi_typescript(running: Running, node: Path) -> None:
    """Strict types under the strictest settings; Node runs the program as it stands."""
    for name in ("generate.mjs", "client.ts"):
        (node / name).write_text(PROGRAMS[name])
    assert run(command("node generate.mjs", running), node) == ""
    assert run(["tsc"], node) == ""
    printed = run(["node", "client.ts", str(running.picture)], node, **reach(running))
    check_what_it_prints(printed, "invalid_field", "sigma")


def test_the_packages_of_the_page_are_those_that_are_tried() -> None:
    """What a reader is told to install is what the lock file holds."""
    package = json.loads((NODE / "package.json").read_text())
    told = [line.split()[2:] for line in COMMANDS if line.startswith("npm install")]
    assert told[0] == list(package["dependencies"])
    assert {*told[1][1:], "@redocly/cli"} == set(package["devDependencies"])


@pytest.mark.parametrize(
    ("document", "skipped"),
    [
        ("openapi.json", []),
        # It takes 3.0.3 as a strict validator does, for which a type that is named elsewhere is never null.
        ("openapi-3.0.json", ["--skip-rule", "no-invalid-media-type-examples"]),
    ],
)
def test_a_linter_has_nothing_to_say(running: Running, node: Path, document: str, skipped: list[str]) -> None:
    """Neither an error nor a warning by the recommended rules."""
    (node / document).write_bytes(running.http.get(f"/{document}").content)
    said = run(["redocly", "lint", document, "--max-problems", "5", *skipped], node)
    assert "Your API description is valid" in said
    assert "warning" not in said
