"""docker/ and docker-compose.yml, as far as files tell; tests/end_to_end/test_compose.py brings them up."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from contract import __version__
from contract.limits import MAX_BODY_BYTES
from service.settings import ServiceSettings
from tests.docs.pages import blocks
from tests.end_to_end.composing import compose_command
from workers.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = [name for name in SERVICES if name != "setup"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    """Those behind a profile, too, which the end-to-end test does not start."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(service)
    assert "user" not in service, "the image says who"


@pytest.mark.parametrize("name", LASTING)
def test_services_come_back_and_reach_redis_alone(name: str) -> None:
    """The API has a second network, for its port."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["networks"] == (["inside", "outside"] if name == "api" else ["inside"])
    assert bool(service.get("ports")) == (name == "api")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_a_worker_has_longer_than_its_job_gets() -> None:
    """Docker kills whatever is left after the grace period."""
    grace = WorkerSettings.model_fields["stop_grace"].default
    for name in ("worker-cpu", "worker-gpu"):
        minutes = int(SERVICES[name]["stop_grace_period"].removesuffix("m"))
        assert minutes * 60 > grace + 60


@pytest.mark.parametrize("file", sorted(DOCKER.glob("*.Dockerfile")), ids=lambda file: file.name)
def test_images_say_what_they_are_and_do_not_run_as_root(file: Path) -> None:
    """Their version is this one's."""
    text = file.read_text()
    assert re.search(rf'org.opencontainers.image.version="{re.escape(__version__)}"', text)
    assert re.findall(r"^USER (.*)$", text, flags=re.MULTILINE)[-1] == "10001:10001"
    assert "STOPSIGNAL SIGTERM" in text
    assert "HEALTHCHECK" in text


@pytest.mark.parametrize(("image", "extras"), [("api", []), ("worker", ["worker"])])
def test_the_locked_versions_are_those_that_the_project_asks_for(image: str, extras: list[str]) -> None:
    """`make lock` writes them; what is missing would be missing in the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(one for extra in extras for one in project["optional-dependencies"][extra]),
    ]
    locked: dict[str, list[str]] = {}
    for line in (DOCKER / f"{image}.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition(" ;")[0].partition("==")
            locked.setdefault(name, []).append(version)
    for requirement in map(Requirement, asked):
        versions = locked.get(requirement.name.lower(), [])
        assert versions, f"{requirement.name} is not in docker/{image}.txt: make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    assert ("torch" in locked) == ("worker" in extras)


def make_secrets(folder: Path, command: str = "create") -> subprocess.CompletedProcess[str]:
    """Runs the service `setup`, without its container."""
    for part in ("redis", "api", "operator"):
        (folder / part).mkdir(exist_ok=True)
    script = [sys.executable, str(DOCKER / "make_secrets.py"), command, str(folder)]
    return subprocess.run(script, capture_output=True, text=True)


def test_secrets_are_made_once_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    """A second start changes nothing, whatever the operator has added meanwhile."""
    first = make_secrets(tmp_path)
    assert first.returncode == 0, first.stderr
    made = {file.relative_to(tmp_path): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    assert {str(file) for file in made} == {"redis/password", "api/keys.json", "operator/key"}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.rglob("*") if file.is_file()} == {0o600}
    assert all(len(text) >= 43 for text in made.values())
    (tmp_path / "api" / "keys.json").write_text('{"keys": []}')
    assert make_secrets(tmp_path).stderr == ""
    assert (tmp_path / "api" / "keys.json").read_text() == '{"keys": []}'
    assert (tmp_path / "redis" / "password").read_text() == made[Path("redis/password")]


def test_the_api_gets_the_hash_of_the_key_that_the_operator_gets(tmp_path: Path) -> None:
    """And no output but that of `key` has a secret in it."""
    created = make_secrets(tmp_path)
    key = make_secrets(tmp_path, "key").stdout.strip()
    assert re.fullmatch(r"radii_[A-Za-z0-9_-]{43}", key)
    text = (tmp_path / "api" / "keys.json").read_text()
    (stored,) = json.loads(text)["keys"]
    assert stored["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert stored["scopes"] == ["certify", "read", "admin"]
    for secret in (key, (tmp_path / "redis" / "password").read_text()):
        assert secret not in created.stdout + created.stderr
    assert key not in text
    assert make_secrets(tmp_path, "keys").returncode == 2


NEEDS_COMPOSE = pytest.mark.skipif(compose_command() is None, reason="needs docker compose")


def configured(*files: str | Path) -> dict[str, Any]:
    """What Compose makes of its file and of those put over it."""
    words = [str(part) for file in ("docker-compose.yml", *files) for part in ("-f", file)]
    ran = subprocess.run(
        [*(compose_command() or []), *words, "--project-directory", str(ROOT), "--profile", "gpu", "config"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "RADII_REDIS_MAXMEMORY": "3gb"},
    )
    assert ran.returncode == 0, ran.stderr
    services: dict[str, Any] = yaml.safe_load(ran.stdout)["services"]
    return services


@NEEDS_COMPOSE
@pytest.mark.parametrize("files", [[], ["deploy/compose.secrets.yml"]], ids=["alone", "with secrets"])
def test_compose_reads_its_files(files: list[str]) -> None:
    """Compose's own opinion, also of the operator's secrets put over it."""
    services = configured(*files)
    assert services["redis"]["command"] == ["--maxmemory", "3gb"]
    password = "/run/secrets/redis_password" if files else "/secrets/redis/password"
    for name in ("redis", "api", "worker-cpu", "worker-gpu"):
        assert services[name]["environment"]["RADII_REDIS_PASSWORD_FILE"] == password
    assert services["worker-gpu"]["environment"]["RADII_DEVICE"] == "cuda"


def test_the_keys_of_an_operator_are_mounted_by_their_folder() -> None:
    """A file that is mounted by itself stays what it was when `radii keys` replaces it: nothing is revoked."""
    given = yaml.safe_load((ROOT / "deploy" / "compose.secrets.yml").read_text())
    keys = Path(given["services"]["api"]["environment"]["RADII_API_KEYS_FILE"])
    (volume,) = given["services"]["api"]["volumes"]
    source, target, mode = volume.split(":")
    assert (Path(target), mode) == (keys.parent, "ro")
    assert source.startswith("./")  # a folder of the operator's, not a volume
    page = (ROOT / "docs" / "operations.md").read_text()
    assert f"`{source.removeprefix('./')}` with its `{keys.name}`" in page


@NEEDS_COMPOSE
def test_the_override_that_the_page_shows_sets_settings_that_there_are(tmp_path: Path) -> None:
    """It is put over the file as it stands."""
    (text,) = [block.text for block in blocks() if block.page == "operations.md" and block.language == "yaml"]
    (tmp_path / "docker-compose.override.yml").write_text(text)
    services = configured(tmp_path / "docker-compose.override.yml")
    for name, settings in (("api", ServiceSettings), ("worker-cpu", WorkerSettings)):
        for variable, value in yaml.safe_load(text)["services"][name]["environment"].items():
            assert services[name]["environment"][variable] == value
            assert variable.removeprefix("RADII_").lower() in settings.model_fields


def test_nothing_but_what_images_need_is_sent_to_the_engine() -> None:
    """An ignore file that begins with everything."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    sent = {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for file in DOCKER.glob("*.Dockerfile")
        for line in re.findall(r"^COPY (?!--from)(.*)$", file.read_text(), flags=re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert sent == copied


def test_a_worker_holds_every_package() -> None:
    """`radii` runs in it with all of its commands; the API's image leaves out what needs torch."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    text = (DOCKER / "worker.Dockerfile").read_text()
    copied = re.findall(r"^COPY (\w+) /source/\1$", text, flags=re.MULTILINE)
    assert sorted(copied) == sorted(packages["packages"])


def test_the_proxy_leaves_limits_to_the_api() -> None:
    """Else its own words, not a problem that programs can read, would answer a large image."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", text)
    assert int(megabytes) * 1024 * 1024 > MAX_BODY_BYTES
    assert "proxy_buffering off;" in text
