"""Makes the three clients of docs/clients.md from a running service, checks their types, and runs their programs."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "docs" / "clients.md").read_text()
PROGRAMS: Final[dict[str, str]] = {
    match[2]: match[1] for match in re.findall(r"(```\w+\n((?:#|//) ([\w.]+).*?)```)", PAGE, flags=re.DOTALL)
}
COMMANDS: Final[list[str]] = [
    line
    for block in re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]
NODE: Final = Path(__file__).parent
SCRIPTS: Final = Path(sys.executable).parent
# What openapi-generator 7.26 says of every document, even of one with a single operation, and of every list in
# a form; the code that it makes is right all the same, as the program shows.
SAID_ALWAYS: Final = (
    "Failed to get the schema name: null",
    "Could not compute datatypeWithEnum from float, null",
    "OpenAPI 3.1 support is still in beta.",
)


@dataclass(frozen=True)
class Target:
    """A running service, a key for it, and a picture of an ankle boot."""

    url: str
    key: str = field(repr=False)
    picture: Path

    def command(self, start: str) -> list[str]:
        """The page's command that starts so, for this service."""
        (found,) = (line for line in COMMANDS if line.startswith(start))
        return found.replace("http://127.0.0.1:8000", self.url).split()

    def run(self, program: list[str], folder: Path) -> str:
        """Runs one of the page's programs with what it has to know of this service."""
        return run([*program, str(self.picture)], folder, RADII_URL=self.url, RADII_API_KEY=self.key)


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


def add_node_packages(folder: Path, config: pytest.Config) -> None:
    """Adds the packages of the lock file, which are fetched once per lock file, and the settings of their tools."""
    lock = (NODE / "package-lock.json").read_bytes()
    assert b'"resolved"' not in lock, "it would name a registry; use --omit-lockfile-registry-resolved"
    assert config.cache is not None
    cached = config.cache.mkdir(f"node-{hashlib.sha256(lock).hexdigest()[:16]}")
    if not (cached / "fetched").exists():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE / name, cached)
        run([str(SCRIPTS / "npm"), "ci", "--no-audit", "--no-fund"], cached)
        (cached / "fetched").touch()
    (folder / "node_modules").symlink_to(cached / "node_modules")
    for name in ("package.json", "tsconfig.json", "redocly.yaml"):
        shutil.copy(NODE / name, folder)


def openapi_python_client(target: Target, folder: Path) -> None:
    """No warning; strict types, the generated ones too."""
    said = run([*target.command("openapi-python-client"), "--fail-on-warning"], folder)
    assert said.strip() == "Generating radii-client", said
    (folder / "radii-client" / "radii_client").rename(folder / "radii_client")
    (folder / "client.py").write_text(PROGRAMS["client.py"])
    _check_types(folder, "--strict", "--config-file=", "radii_client", "client.py")
    _check_what_it_prints(target.run([sys.executable, "client.py"], folder), "invalid_field", "sigma")


def openapi_typescript(target: Target, folder: Path) -> None:
    """Strict types under the strictest settings; Node runs the program as it stands."""
    for name in ("generate.mjs", "client.ts"):
        (folder / name).write_text(PROGRAMS[name])
    assert run(target.command("node generate.mjs"), folder) == ""
    assert run(["tsc"], folder) == ""
    _check_what_it_prints(target.run(["node", "client.ts"], folder), "invalid_field", "sigma")


def openapi_generator(target: Target, folder: Path) -> None:
    """No warning of the document; the program's types are strict, the generated ones as strict as their makers'."""
    said = run(target.command("openapi-generator-cli"), folder)
    warnings = [line for line in said.splitlines() if "WARN" in line or "ERROR" in line]
    assert [line for line in warnings if not any(known in line for known in SAID_ALWAYS)] == []
    project = folder / "radii-generated"
    (project / "radii_generated").rename(folder / "radii_generated")
    (folder / "generated.py").write_text(PROGRAMS["generated.py"])
    _check_types(folder, f"--config-file={project / 'pyproject.toml'}", "radii_generated")
    # Its constructors have no types of their own, so that calling them cannot be strict.
    lenient = ("--allow-untyped-calls", "--follow-imports=silent", "--config-file=")
    _check_types(folder, "--strict", *lenient, "generated.py")
    _check_what_it_prints(target.run([sys.executable, "generated.py"], folder), "too_few_samples", "n")


# By the name of its generator: makes a client in a folder that has the Node packages, and its round trip.
CLIENTS: Final[dict[str, Callable[[Target, Path], None]]] = {
    "openapi-python-client": openapi_python_client,
    "openapi-typescript": openapi_typescript,
    "openapi-generator": openapi_generator,
}


def _check_types(folder: Path, *arguments: str) -> None:
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(folder / ".mypy_cache")]
    said = run([*mypy, *arguments], folder)
    assert "Success" in said, said


def _check_what_it_prints(printed: str, code: str, field_name: str) -> None:
    """A certificate that was verified, and a problem that names its field."""
    certified, refused = printed.splitlines()
    label, radius, valid = certified.split()
    assert (label, valid) == ("ankle-boot", "valid"), printed
    assert 0 < float(radius) < 3, printed
    assert refused.startswith(f"{code} /{field_name} '{field_name}' must be "), printed
