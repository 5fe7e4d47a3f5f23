"""No key and no password is written anywhere, whatever goes wrong: real processes, and all that they say."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.redis_url import full_redis_url, without_secrets
from radii import embedded
from radii.stack import free_port
from service.settings import ServiceSettings
from tests.support.command_line import PICTURE, radii, radii_process
from tests.support.service import is_there
from tests.support.store import open_store
from tests.support.waiting import until
from workers.settings import WorkerSettings

SECRET = "s3cret-w0rd"


class Spoken:
    """Everything that was said, and the words that nobody may say."""

    def __init__(self) -> None:
        self.text = ""
        self.secrets: list[str] = [SECRET]

    def run(self, *arguments: str, code: int = 1, **environment: str) -> str:
        """Runs a command, which has to end so, and adds what it said."""
        ran = radii_process(*arguments, **environment)
        assert ran.returncode == code, ran.stderr
        self.text += ran.stdout + ran.stderr
        return ran.stderr

    def check(self) -> None:
        for secret in self.secrets:
            assert secret not in self.text


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Redis, Callable[[], None], int]]:
    """A store with a password, what stops it, and its port."""
    with open_store(tmp_path / "store") as (redis, process):

        def stop() -> None:
            process.terminate()
            process.wait(60)

        yield redis, stop, redis.connection_pool.connection_kwargs["port"]


def test_a_running_api_says_no_secret(store: tuple[Redis, Callable[[], None], int], tmp_path: Path) -> None:
    """It is asked with right and wrong keys, breaks, loses its file of keys and its store."""
    redis, stop_store, store_port = store
    said, file, log = Spoken(), tmp_path / "keys.json", tmp_path / "log"
    key = radii("keys", "create", "ann", "--file", str(file)).stdout.strip()
    password = embedded.password(tmp_path / "store")
    (tmp_path / "password").write_text(password + "\n")
    said.secrets += [key, password]
    port = free_port()
    environment = {
        "RADII_AUTH": "keys",
        "RADII_REDIS_URL": f"redis://127.0.0.1:{store_port}/0",
        "RADII_REDIS_PASSWORD_FILE": str(tmp_path / "password"),
        "RADII_API_KEYS_FILE": str(file),
    }
    with log.open("w") as out:
        words = [sys.executable, "-m", "radii", "api", "--port", str(port)]
        process = subprocess.Popen(words, env={**os.environ, **environment}, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=20, headers={"X-API-Key": key}) as http:
            until(lambda: is_there(url))
            assert http.get("/models").status_code == 200  # the password came from the file
            wrong = key[:-4] + "AAAA"
            said.secrets.append(wrong)
            refused = http.get("/models", headers={"X-API-Key": wrong, "Authorization": f"Bearer {SECRET}"})
            assert refused.status_code == 401
            redis.set(keys.submission("a" * 32), "nonsense")
            broken = http.get(f"/jobs/{'a' * 32}")
            assert broken.status_code == 500
            said.text += refused.text + broken.text
            said.run("models", "--url", url, "--api-key", wrong)
            said.run("certify", str(PICTURE), "--url", url, RADII_API_KEY=wrong)
            said.run(
                "certify", str(PICTURE), "--url", url, "--max-wait", "0", RADII_API_KEY=key
            )  # no worker is there
            file.write_text(json.dumps({"keys": [{"name": "ann", "sha256": key, "password": password}]}))
            until(lambda: http.get("/models") and "api_keys_not_read" in log.read_text())
            assert http.get("/models").status_code == 200
            stop_store()
            lost = http.get("/models")
            assert lost.status_code == 503
            said.text += lost.text
    finally:
        process.terminate()
        process.wait(60)
    text = log.read_text()
    assert all(word in text for word in ("internal_error", "api_keys_not_read", "store_unavailable"))
    said.text += text
    said.check()


def test_settings_that_are_refused_are_not_repeated(tmp_path: Path) -> None:
    """An address that cannot be read may hold a password; a traceback would quote it."""
    said = Spoken()
    store = {"RADII_REDIS_URL": f"redis://:{SECRET}@127.0.0.1:none/0"}
    local = {"RADII_AUTH": "off", "RADII_HOST": "127.0.0.1", "RADII_DATA_DIR": str(tmp_path / "data")}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"name": "ann", "key": SECRET}]}))
    told = [
        said.run("api", **local, **store),
        said.run("worker", code=3, **store),
        said.run("memory", "stats", **store),
        said.run("serve", "--port", str(free_port()), **local, **store),
        said.run("keys", "list", "--file", str(tmp_path / "keys.json")),
        said.run("models", "--url", "http://127.0.0.1:1", "--api-key", f"{SECRET} {SECRET}"),
    ]
    assert all("redis://, rediss:// or unix://" in " ".join(one.split()) for one in told[:4]), told
    assert "Traceback" not in said.text
    said.check()


def test_settings_hide_the_password_and_pass_it_on(tmp_path: Path) -> None:
    """It comes with the address or from a file, which wins; a child reads it there as its parent did."""
    (tmp_path / "password").write_text("p@ss/w:rd\n")
    for kind in (ServiceSettings, WorkerSettings):
        given = kind(redis_url=f"redis://ann:{SECRET}@host:1/2")
        assert given.redis_url == f"redis://ann:{SECRET}@host:1/2"
        assert SECRET not in repr(given)
        assert SECRET not in str(given)
        filed = kind(redis_url=given.redis_url, redis_password_file=tmp_path / "password")
        assert filed.redis_url == "redis://ann:p%40ss%2Fw%3Ard@host:1/2"
        assert Redis.from_url(filed.redis_url).connection_pool.connection_kwargs["password"] == "p@ss/w:rd"
        default = kind(redis_password_file=tmp_path / "password")
        assert default.redis_url == "redis://:p%40ss%2Fw%3Ard@127.0.0.1:6379/0"
    for address in (
        f"redis://ann:{SECRET}@host:1/2",
        "redis://host:1/2",
        f"unix://:{SECRET}@/run/redis.sock",
    ):
        parent = WorkerSettings(redis_url=address, redis_password_file=tmp_path / "password")
        environment = parent.environment()
        assert not any(word in value for value in environment.values() for word in (SECRET, "p%40ss", "p@ss"))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            assert WorkerSettings().redis_url == parent.redis_url


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), ("\n", "it is empty"), (b"\xff", "not UTF-8")]
)
def test_a_password_file_that_is_none_is_told(
    tmp_path: Path, content: str | bytes | None, words: str
) -> None:
    """With its path, but not with the address."""
    file = tmp_path / "password"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        file.write_text(content)
    for call in (
        lambda: ServiceSettings(redis_url=f"redis://:{SECRET}@host:1/2", redis_password_file=file),
        lambda: full_redis_url(f"redis://:{SECRET}@host:1/2", str(file)),
    ):
        with pytest.raises(ValueError, match=words) as raised:
            call()
        assert str(file) in str(raised.value)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{SECRET}@host:6379/0", "redis://***@host:6379/0"),
        (f"rediss://ann:{SECRET}@host/0?password={SECRET}", "rediss://***@host/0"),
        (f"redis://:{SECRET}@{SECRET}@host", "redis://***@host"),
        (f"unix://ann:{SECRET}@/run/redis.sock?db=1", "unix://***@/run/redis.sock"),
        ("redis://host:1/0", "redis://host:1/0"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
