"""`radii keys`, the key that is made for whoever runs `radii serve`, and which key a command sends."""

import json
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import Result
from typer.testing import CliRunner

from radii import key_store, own_key
from radii.main import app
from radii.stack import Stack, StackFailure, StackPlan, free_port
from service.edge.api_keys import KeyRing, hash_key
from service.edge.callers import KeyScope

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "keys.json"


@pytest.fixture
def run(file: Path) -> Run:
    """Runs one of the commands on the file."""

    def invoke(command: str, *words: str) -> Result:
        return CliRunner().invoke(app, ["keys", command, *words, "--file", str(file)])

    return invoke


def test_a_key_is_printed_once_and_kept_as_a_hash(run: Run, file: Path) -> None:
    """Alone on standard output, so that a script can take it; nobody else can read the file."""
    made = run("create", "ann", "--scopes", "read, certify", "--tenant", "acme")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n"
    assert key not in made.stderr
    assert key not in file.read_text()
    assert json.loads(file.read_text()) == {
        "keys": [{"name": "ann", "sha256": hash_key(key), "scopes": ["certify", "read"], "tenant": "acme"}]
    }
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    found = KeyRing(file).find(key)
    assert found is not None
    assert (found.name, found.tenant, found.may(KeyScope.READ), found.may(KeyScope.ADMIN)) == (
        "ann",
        "acme",
        True,
        False,
    )


def test_keys_are_those_of_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which `radii serve` uses, too: a key that is made elsewhere would open nothing."""
    monkeypatch.delenv("RADII_API_KEYS_FILE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "usual"))
    for folder, made in ((str(tmp_path / "own"), tmp_path / "own"), ("", tmp_path / "usual" / "radii")):
        monkeypatch.setenv("RADII_DATA_DIR", folder)
        assert CliRunner().invoke(app, ["keys", "create", "ann"]).exit_code == 0
        assert [key.name for key in key_store.read(own_key.hashed_file(made))] == ["ann"]


def test_keys_are_listed_and_taken_back(run: Run, file: Path) -> None:
    keys = {name: run("create", name).stdout.strip() for name in ("ann", "bob")}
    run("create", "root", "--scopes", "admin")
    assert json.loads(run("list", "--json").stdout) == [
        {"name": "ann", "scopes": ["certify", "read"], "tenant": ""},
        {"name": "bob", "scopes": ["certify", "read"], "tenant": ""},
        {"name": "root", "scopes": ["admin"], "tenant": ""},
    ]
    table = run("list").stdout
    assert all(word in table for word in ("ann", "bob", "root", "certify, read", "admin"))
    assert not any(key in table or hash_key(key) in table for key in keys.values())
    file.chmod(0o640)  # so that the API's group may read it
    assert run("revoke", "ann").exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o640
    ring = KeyRing(file)
    assert [ring.find(key) is not None for key in keys.values()] == [False, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "ann"), "has a key 'ann': revoke it first"),
        (("create", "a b"), "'name' must be 1 to 64 characters of"),
        (("create", "bob", "--scopes", "write"), "'scopes' must be some of certify, read, admin"),
        (("create", "bob", "--scopes", ","), "'scopes' must be some of certify, read, admin"),
        (("create", "bob", "--tenant", "a/b"), "'tenant' must be 0 to 64 characters of"),
        (("revoke", "bob"), "got 'bob'; it has: ann"),
    ],
)
def test_a_mistake_changes_nothing(run: Run, file: Path, words: tuple[str, ...], told: str) -> None:
    """The field is named, with its rule and its value."""
    run("create", "ann")
    before = file.read_bytes()
    result = run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in " ".join(result.stderr.split())
    assert file.read_bytes() == before


def test_a_broken_file_is_not_written_over(run: Run, file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"keys": [')
    for words in (("create", "ann"), ("list",), ("revoke", "ann")):
        result = run(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Invalid JSON" in result.stderr
    assert file.read_text() == '{"keys": ['


def test_commands_at_once_lose_no_key(file: Path) -> None:
    """Each reads the file after the other has written it."""
    words = [sys.executable, "-m", "radii", "keys", "create"]
    names = [f"key-{number}" for number in range(4)]
    commands = [
        subprocess.Popen([*words, name, "--file", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in names
    ]
    for command in commands:
        _, said = command.communicate(timeout=60)
        assert command.returncode == 0, said
    assert {key.name for key in key_store.read(file)} == set(names)


def test_whoever_runs_the_service_has_a_key(tmp_path: Path) -> None:
    """Made once, for its owner alone to read; it may do everything."""
    own_key.make_own_key(tmp_path / "data")
    plain, hashed = own_key.plain_file(tmp_path / "data"), own_key.hashed_file(tmp_path / "data")
    assert [one.stat().st_mode & 0o777 for one in (plain, hashed)] == [0o600, 0o600]
    key = plain.read_text().strip()
    found = KeyRing(hashed).find(key)
    assert found is not None
    assert found.may(KeyScope.ADMIN)
    before = hashed.read_bytes()
    own_key.make_own_key(tmp_path / "data")
    assert (plain.read_text().strip(), hashed.read_bytes()) == (key, before)


def test_a_key_that_was_revoked_stays_so(tmp_path: Path) -> None:
    own_key.make_own_key(tmp_path)
    key_store.remove(own_key.hashed_file(tmp_path), own_key.NAME)
    own_key.make_own_key(tmp_path)
    assert key_store.read(own_key.hashed_file(tmp_path)) == []


@pytest.mark.parametrize("lost", ["plain", "hashed"])
def test_a_lost_half_is_made_again(tmp_path: Path, lost: str) -> None:
    """And the keys of others are kept."""
    own_key.make_own_key(tmp_path)
    plain, hashed = own_key.plain_file(tmp_path), own_key.hashed_file(tmp_path)
    CliRunner().invoke(app, ["keys", "create", "ann", "--file", str(hashed)])
    (plain if lost == "plain" else hashed).unlink()
    own_key.make_own_key(tmp_path)
    assert KeyRing(hashed).find(plain.read_text().strip()) is not None
    names = [key.name for key in key_store.read(hashed)]
    assert names == (["ann", "local"] if lost == "plain" else ["local"])


# Which key a command sends.


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    """Runs `radii models` against a server that refuses, and returns the key that was sent."""
    for name in ("RADII_API_KEY", "RADII_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RADII_DATA_DIR", str(tmp_path / "data"))

    def run(*options: str) -> str | None:
        keys: list[str | None] = []

        class Refusing(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys.append(self.headers["X-API-Key"])
                self.send_response(401)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Refusing) as server:
            thread = Thread(target=server.handle_request, daemon=True)
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}"
            result = CliRunner().invoke(app, ["models", "--url", url, *options])
            assert result.exit_code == 1
            thread.join()
        return keys[0]

    return run


def test_the_key_nearest_to_the_command_is_sent(
    heard: Callable[..., str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option, then the environment, then a file that it names, then the one that was made here."""
    assert heard() is None
    own_key.make_own_key(tmp_path / "data")
    own = own_key.plain_file(tmp_path / "data").read_text().strip()
    assert heard() == own
    (tmp_path / "key").write_text("of-the-file\r\n")
    monkeypatch.setenv("RADII_API_KEY_FILE", str(tmp_path / "key"))
    assert heard() == "of-the-file"
    monkeypatch.setenv("RADII_API_KEY", "of-the-environment")
    assert heard() == "of-the-environment"
    assert heard("--api-key", "of-the-option") == "of-the-option"


def test_the_own_key_is_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent to no other, and a name that begins as this machine's does is another's."""
    monkeypatch.delenv("RADII_API_KEY_FILE", raising=False)
    monkeypatch.setenv("RADII_DATA_DIR", str(tmp_path))
    own_key.make_own_key(tmp_path)
    for url in ("http://127.0.0.1:8000", "http://localhost", "https://[::1]:1/path"):
        assert own_key.choose_key(url, None)
    for url in (
        "http://radii.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "x",
    ):
        assert own_key.choose_key(url, None) is None


@pytest.mark.parametrize("content", ["", "two words", "é", "a\nb", "x" * 300])
def test_what_is_no_key_is_not_sent_and_not_shown(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(content)
    monkeypatch.setenv("RADII_API_KEY_FILE", str(tmp_path / "key"))
    result = CliRunner().invoke(app, ["models", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "must be an API key" in " ".join(result.output.split())
    assert not content or content not in result.output


def test_a_file_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADII_API_KEY_FILE", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(app, ["models", "--url", "http://127.0.0.1:1"])
    assert (result.exit_code, "No such file" in " ".join(result.output.split())) == (1, True)


# What a stack refuses to start with; nothing is started.


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"auth": False, "host": "0.0.0.0"}, "listen on 127.0.0.1, or use API keys"),
        ({"api_keys": Path("nowhere.json")}, "nowhere.json"),
        ({"redis_url": "redis://:secret:6379"}, "'redis-url' must be redis://"),
    ],
)
def test_a_stack_says_what_it_cannot_start_with(tmp_path: Path, plan: dict[str, object], words: str) -> None:
    fields: dict[str, object] = {"data_dir": tmp_path / "store", "port": free_port(), **plan}
    with pytest.raises(StackFailure, match=words) as raised, Stack(StackPlan(**fields)):  # type: ignore[arg-type]
        pass
    assert "secret" not in str(raised.value)
