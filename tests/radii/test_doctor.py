"""`radii doctor` finds what is wrong with a real server, real files and a real queue."""

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from contract import keys
from contract.models import EngineStatus
from radii.doctor import machine, service, store
from radii.doctor.findings import Finding, Severity, guarded, ok
from radii.main import app
from radii.stack import free_port
from tests.support.command_line import EXAMPLES, radii, radii_process
from workers.process.liveness.status_file import StatusFile


def invoke(*arguments: str) -> Result:
    """Runs the command line in this process."""
    return CliRunner().invoke(app, arguments)


def levels(found: Iterator[Finding]) -> dict[str, Severity]:
    return {finding.check: finding.level for finding in found}


@pytest.fixture
def settings(redis: Redis) -> Iterator[Redis]:
    """The server, whose settings are as before afterwards."""
    names = ("maxmemory", "maxmemory-policy", "appendonly")
    before = {name: redis.config_get(name)[name] for name in names}
    yield redis
    for name, value in before.items():
        redis.config_set(name, value)


def test_a_sound_store_has_nothing_to_complain_of(redis: Redis) -> None:
    found = list(store.look_at_store(redis, "here"))
    assert {finding.level for finding in found} == {Severity.OK}, found
    assert {finding.check for finding in found} == {
        "Redis", "latency", "durability", "persistence", "memory", "WAITAOF", "clock",
    }  # fmt: skip
    assert all(redis.ttl(key) <= 10 for key in redis.keys("*"))


def test_a_store_that_may_forget_is_a_fault(settings: Redis) -> None:
    settings.config_set("maxmemory-policy", "allkeys-lru")
    settings.config_set("appendonly", "no")
    found = levels(store.look_at_store(settings, "here"))
    assert found["durability"] is Severity.FAIL
    assert found["WAITAOF"] is Severity.WARN


def test_a_store_that_is_nearly_full_is_told(settings: Redis) -> None:
    used = settings.info("memory")["used_memory"]
    settings.config_set("maxmemory", int(used / 0.9))
    assert levels(store.look_at_store(settings, "here"))["memory"] is Severity.WARN


def test_a_store_that_is_away_is_one_finding() -> None:
    (found,) = store.look_at_store(Redis(port=free_port()), "there")
    assert (found.check, found.level) == ("Redis", Severity.FAIL)
    assert "there" in found.message


def test_engines_are_looked_for(redis: Redis) -> None:
    """None alive is a fault; one that was heard of lately is none."""
    assert levels(service.look_at_engines(redis)) == {"engines": Severity.FAIL}
    status = EngineStatus(
        engine_id="one", device="cpu", started_at=datetime.now(UTC), jobs=3, loads=1, models=[]
    )
    redis.set(keys.engine("one"), status.model_dump_json())
    redis.zadd(keys.ENGINES, {"one": redis.time()[0] - 100})
    assert levels(service.look_at_engines(redis)) == {"engine": Severity.WARN, "engines": Severity.FAIL}
    redis.zadd(keys.ENGINES, {"one": redis.time()[0]})
    assert levels(service.look_at_engines(redis)) == {"engine": Severity.OK}


def test_stuck_jobs_are_told(redis: Redis) -> None:
    """One whose worker died as it took it, one whose worker has given no sign; another is just being taken."""
    assert levels(service.look_at_queue(redis)) == {"queue": Severity.OK, "stuck jobs": Severity.OK}
    redis.zadd("rq:wip:radii", {"silent:1": redis.time()[0] - 5, "running:2": redis.time()[0] + 60})
    redis.rpush("rq:queue:radii:intermediate", "died", "moving")
    timer = threading.Timer(0.2, redis.lrem, ("rq:queue:radii:intermediate", 0, "moving"))
    timer.start()
    _, stuck = service.look_at_queue(redis)
    timer.join()
    assert (stuck.level, stuck.message) == (Severity.WARN, "died, silent")


def test_an_old_queue_is_told(redis: Redis) -> None:
    redis.rpush("rq:queue:radii", "a" * 32)
    redis.xadd(keys.events("a" * 32), {"progress": "{}"}, id=f"{(redis.time()[0] - 1000) * 1000}-0")
    assert levels(service.look_at_queue(redis))["queue"] is Severity.WARN


def test_a_stranger_on_the_port_is_told_apart() -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert levels(service.look_at_api(f"http://127.0.0.1:{server.server_port}")) == {"API": Severity.FAIL}
    assert levels(service.look_at_api(f"http://127.0.0.1:{free_port()}")) == {"API": Severity.WARN}
    (finding,) = service.look_at_api("foo")
    assert finding.level is Severity.FAIL
    assert "missing an 'http://'" in finding.message


@pytest.mark.parametrize(
    ("mode", "level"),
    [
        (0o600, Severity.OK), (0o400, Severity.OK), (0o440, Severity.WARN), (0o644, Severity.WARN),
        (0o660, Severity.FAIL), (0o602, Severity.FAIL),
    ],
)  # fmt: skip
def test_who_may_touch_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, level: Severity
) -> None:
    """Others may not write; that they may read is how containers mount secrets, and is only told."""
    file = tmp_path / "keys.json"
    monkeypatch.setenv("RADII_API_KEYS_FILE", str(file))
    assert levels(machine.look_at_files(tmp_path))["keys file"] is Severity.FAIL
    file.write_text("{}")
    file.chmod(mode)
    assert levels(machine.look_at_files(tmp_path / "not" / "yet"))["keys file"] is level


def test_a_damaged_bundle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped ones are complete; one without a readable card is told of as well, and hides no other."""
    copy = tmp_path / "copy"
    shutil.copytree(EXAMPLES.parent, copy)
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | {"name": "copy"}))
    (copy / "weights.safetensors").write_bytes((copy / "weights.safetensors").read_bytes()[:-1] + b"!")
    monkeypatch.setenv("RADII_MODELS", str(tmp_path))
    found = levels(machine.look_at_bundles())
    assert found.pop("bundle copy") is Severity.FAIL
    assert set(found.values()) == {Severity.OK}
    (copy / "card.json").write_text("{}")
    found = levels(machine.look_at_bundles())
    assert found.pop("bundles") is Severity.FAIL
    assert set(found.values()) == {Severity.OK}
    monkeypatch.setenv("RADII_MODELS", str(tmp_path / "nowhere"))
    assert levels(machine.look_at_bundles()) == {"bundles": Severity.FAIL}


def test_a_check_that_fails_hides_no_other() -> None:
    def look() -> Iterator[Finding]:
        yield ok("first", "")
        raise ValueError("nonsense")

    assert [(one.check, one.level) for one in guarded("second", look())] == [
        ("first", Severity.OK),
        ("second", Severity.FAIL),
    ]


def test_the_command_without_torch(redis_url: str, tmp_path: Path) -> None:
    """As in the API's image: what cannot be looked at is skipped; no engine is a fault, so it ends with 1."""
    (tmp_path / "torch.py").write_text("raise ImportError")
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    url = f"http://127.0.0.1:{free_port()}"
    ran = radii_process("doctor", "--json", "--url", url, "--redis-url", redis_url, PYTHONPATH=path)
    assert ran.returncode == 1, ran.stderr
    found = {finding["check"]: finding for finding in json.loads(ran.stdout)}
    assert found["torch"]["level"] == found["bundles"]["level"] == "skip"
    assert found["engines"]["level"] == "fail"
    assert found["engines"]["advice"]
    assert found["Redis"]["level"] == "ok"


def test_the_address_shows_no_password(tmp_path: Path) -> None:
    """In a table for people, wherever in the address it stands; the reason is there."""
    address = f"redis://:s3cret@127.0.0.1:{free_port()}/0?password=s3cret"
    ran = radii("doctor", "--redis-url", address, "--url", f"http://127.0.0.1:{free_port()}", RADII_MODELS="")
    assert ran.returncode == 1
    assert "does not answer" in " ".join(ran.stdout.split())
    assert "s3cret" not in ran.stdout + ran.stderr


def test_healthcheck_of_a_worker_goes_by_its_status_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Young enough, too old, none at all; and exactly one thing must be asked."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert invoke("healthcheck", "--worker").exit_code == 1
    folder = tmp_path / "radii-worker-1"
    folder.mkdir()
    now = time.time()
    StatusFile(folder, interval=60)
    assert invoke("healthcheck", "--worker").exit_code == 0
    (folder / "engine.json").write_text(json.dumps({"pid": 1, "since": now - 99, "beat": now - 21}))
    old = invoke("healthcheck", "--worker")
    assert old.exit_code == 1
    assert "must be <= 20 s old, got 2" in old.stderr
    monkeypatch.setenv("RADII_TIMING__ENGINE_ALIVE_SECONDS", "30")
    assert invoke("healthcheck", "--worker").exit_code == 0
    monkeypatch.setenv("RADII_TIMING__ENGINE_ALIVE_SECONDS", "no number")
    assert "RADII_TIMING__ENGINE_ALIVE_SECONDS" in invoke("healthcheck", "--worker").stderr
    assert invoke("healthcheck").exit_code == 2


def test_healthcheck_of_an_api_asks_it() -> None:
    port = free_port()
    ran = invoke("healthcheck", "--api", "--port", str(port))
    assert ran.exit_code == 1
    assert str(port) in ran.stderr
