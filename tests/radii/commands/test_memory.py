"""`radii memory stats` and `export`, and how all three find the server."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from redis import Redis
from typer.testing import CliRunner

from contract import keys
from contract.keys import pixel_digest
from contract.models import EngineStatus, ModelInfo
from contract.regions import StoredRegion
from radii import embedded
from radii.commands.memory import store_address
from radii.main import app
from tests.radii.memory.logs import DIGEST, EPOCH, Log
from tests.support.store import open_store

Run = Callable[..., Result]


@pytest.fixture
def run(redis_url: str) -> Run:
    """Runs one of the commands on the server that the test writes to."""

    def invoke(command: str, *options: str) -> Result:
        return CliRunner().invoke(app, ["memory", command, "--redis-url", redis_url, *options])

    return invoke


@pytest.fixture
def known(redis: Redis) -> None:
    """An engine that was heard of holds the model."""
    fields: dict[str, Any] = dict.fromkeys(ModelInfo.model_fields)
    fields |= {"name": "toy", "digest": DIGEST, "ready": True, "description": "", "classes": ["boot", "bag"]}
    fields |= {
        "input_shape": [1, 1, 2],
        "sigma_grid": [],
        "n": 1,
        "clean_size": 0,
        "adaptable": False,
        "metrics": [],
    }
    status = EngineStatus(
        engine_id="one",
        device="cpu",
        started_at=datetime.now(UTC),
        jobs=0,
        loads=0,
        models=[ModelInfo.model_validate(fields)],
    )
    redis.set(keys.engine("one"), status.model_dump_json())
    redis.zadd(keys.ENGINES, {"one": redis.time()[0]})


def test_figures(run: Run, redis: Redis, known: None) -> None:
    """One row a memory; a model is named if an engine knows it."""
    log = Log(redis)
    for place in range(1500):
        log.add(place % 2, [0, place % 256], l2=0.001)
    Log(redis, "mine", digest="cd" * 32).add(5, [7], l2=0.5)
    table = run("stats").output
    (row,) = [line for line in table.splitlines() if "toy" in line]
    assert all(words in row for words in (DIGEST[:12], "default", EPOCH[:8], "1,500"))
    (other,) = [line for line in table.splitlines() if "mine" in line]
    assert "cdcdcdcdcdcd" in other
    first, second = json.loads(run("stats", "--json").output)
    assert (first["model"], first["model_digest"], first["memory"]) == ("toy", DIGEST, "default")
    assert (first["epoch"], first["regions"]) == (EPOCH, 1500)
    assert first["labels"] == [
        {"index": 0, "name": "boot", "regions": 750},
        {"index": 1, "name": "bag", "regions": 750},
    ]
    assert first["bytes"] > sum(map(len, log.records))
    assert first["bytes_per_region"] == pytest.approx(first["bytes"] / 1500, abs=0.1)
    assert (second["model"], second["labels"]) == (None, [{"index": 5, "name": None, "regions": 1}])
    assert [one["memory"] for one in json.loads(run("stats", "--json", "--memory", "mine").output)] == [
        "mine"
    ]


def test_figures_of_nothing(run: Run, redis: Redis) -> None:
    """No memory, one without regions, and one that cannot be read."""
    assert "no memory holds a region yet" in run("stats").output
    assert json.loads(run("stats", "--json").output) == []
    Log(redis).append(b"nonsense")
    Log(redis, "empty")
    damaged, empty = json.loads(run("stats", "--json").output)
    assert damaged["labels"] == [{"index": -1, "name": None, "regions": 1}]
    assert (empty["regions"], empty["labels"], empty["bytes_per_region"]) == (0, [], 0)


def test_engines_of_another_release_are_no_obstacle(run: Run, redis: Redis) -> None:
    """What they say of themselves cannot be read; the memory can."""
    redis.set(keys.engine("one"), "{}")
    redis.zadd(keys.ENGINES, {"one": redis.time()[0]})
    Log(redis).add(0, [1])
    assert json.loads(run("stats", "--json").output)[0]["model"] is None


def test_an_engine_is_known_for_as_long_as_the_settings_say(
    run: Run, redis: Redis, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the API's is: its last report may be older than is usual."""
    redis.zadd(keys.ENGINES, {"one": redis.time()[0] - 700})
    Log(redis).add(0, [1])
    assert json.loads(run("stats", "--json").output)[0]["model"] is None
    monkeypatch.setenv("RADII_TIMING__ENGINE_KNOWN_SECONDS", "2000")
    assert json.loads(run("stats", "--json").output)[0]["model"] == "toy"


def test_export(run: Run, redis: Redis, tmp_path: Path) -> None:
    """A header, and every record byte for byte: whoever has the file can follow the chain."""
    log = Log(redis)
    for place in range(1234):
        log.add(place % 3, [0, place % 256], l2=0.001)
    file = tmp_path / "memory.jsonl"
    assert run("export", "--out", str(file)).exit_code == 0
    header, *records = file.read_bytes().splitlines()
    told = {"model_digest": DIGEST, "memory": "default", "epoch": EPOCH, "head": log.head, "regions": 1234}
    assert json.loads(header) == told
    assert records == log.records
    head = ""
    for record in records:
        head = hashlib.sha1(head.encode() + record, usedforsecurity=False).hexdigest()
    assert head == log.head
    assert run("export", "--out", "-").stdout_bytes == file.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_export_with_centres(run: Run, redis: Redis) -> None:
    """Each beside its record, rows first, channels last; null where it is lost."""
    log = Log(redis)
    log.add(0, [1, 2, 3], l2=0.25)
    lost = log.add(1, [4, 5, 6])
    redis.hdel(log.centers_key, lost.image_digest)
    _, *lines = run("export", "--centers", "--out", "-").stdout_bytes.splitlines()
    first, second = (json.loads(line) for line in lines)
    pixels = base64.b64decode(first.pop("center"))
    assert pixel_digest(pixels, 1, 3, 1) == first["image_digest"]
    assert StoredRegion.model_validate(first).l2 == 0.25
    assert lines[0].startswith(log.records[0][:-1])
    assert second["center"] is None


def test_one_memory_is_exported(run: Run, redis: Redis, tmp_path: Path) -> None:
    """Which one has to be said where there are several."""
    assert "nothing to export" in run("export", "--out", "-").output
    Log(redis, "mine").add(0, [1])
    Log(redis, "yours").add(1, [2])
    refused = run("export", "--out", str(tmp_path / "x"))
    assert refused.exit_code == 1
    assert "--memory" in refused.output
    assert f"{DIGEST[:12]}/mine" in refused.output
    chosen = run("export", "--out", "-", "--memory", "yours", "--model-digest", DIGEST)
    assert json.loads(chosen.stdout_bytes.splitlines()[0])["memory"] == "yours"


def test_export_that_fails_leaves_nothing(run: Run, redis: Redis, tmp_path: Path) -> None:
    """Neither half a file, nor one that was there before in pieces."""
    log = Log(redis)
    log.add(0, [1])
    log.append(b"nonsense")
    file = tmp_path / "memory.jsonl"
    file.write_text("of yesterday")
    refused = run("export", "--out", str(file))
    assert (refused.exit_code, "region 1 cannot be read" in refused.output) == (1, True)
    assert (list(tmp_path.iterdir()), file.read_text()) == ([file], "of yesterday")
    refused = run("export", "--out", str(tmp_path / "nowhere" / "x"))
    assert (refused.exit_code, "'out' must be a file" in refused.output) == (1, True)


def invoke(*arguments: str, **environment: str | None) -> Result:
    """Runs a command with these settings alone."""
    unset = {"RADII_REDIS_URL": None, "RADII_DATA_DIR": None}
    return CliRunner().invoke(app, ["memory", *arguments], env=unset | environment)


def test_the_store_of_a_running_server_is_found(tmp_path: Path) -> None:
    """By its data directory, or without a word in the usual one; its port and password lie there."""
    folder = tmp_path / "radii"
    with open_store(folder) as (redis, _):
        Log(redis, "embedded").add(0, [1])
        for result in (
            invoke("stats", "--data-dir", str(folder)),
            invoke("stats", RADII_DATA_DIR=str(folder)),
            invoke("stats", XDG_DATA_HOME=str(tmp_path)),
        ):
            assert (result.exit_code, "embedded" in result.output) == (0, True), result.output
        told = embedded.running_url(folder)
        assert told is not None
        assert str(redis.connection_pool.connection_kwargs["port"]) in told
    assert embedded.running_url(folder) is None
    stopped = invoke("check", "--data-dir", str(folder))
    assert stopped.exit_code == 1
    assert "runs in" in stopped.output
    assert not (tmp_path / "other").exists()


def test_a_server_that_died_is_told_apart(tmp_path: Path) -> None:
    """Its file is still there, it is not."""
    (tmp_path / "port").write_text("1")
    result = invoke("check", "--data-dir", str(tmp_path))
    assert (result.exit_code, "127.0.0.1:1/0 cannot be read" in " ".join(result.output.split())) == (1, True)
    assert embedded.password(tmp_path) not in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--redis-url", "redis://127.0.0.1:1/0"], "127.0.0.1:1/0 cannot be read"),
        (["--redis-url", "nonsense"], "'redis-url' must be redis://, rediss:// or unix:// with"),
        (["--redis-url", "redis://127.0.0.1:1/0", "--data-dir", "x"], "'data-dir' = x has no meaning with"),
    ],
)
def test_an_address_that_is_none(options: list[str], words: str, tmp_path: Path) -> None:
    """In one message, without a traceback."""
    result = invoke("stats", *options, XDG_DATA_HOME=str(tmp_path))
    assert (result.exit_code, words in " ".join(result.output.split())) == (1, True), result.output
    assert isinstance(result.exception, SystemExit)
    assert list(tmp_path.iterdir()) == []


def test_the_password_counts_for_the_usual_address_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API and workers read it without an address, too."""
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.delenv("RADII_REDIS_URL", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("RADII_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    assert store_address(None, None) == "redis://:s3cret@127.0.0.1:6379/0"
    monkeypatch.setenv("RADII_REDIS_PASSWORD_FILE", str(tmp_path / "nowhere"))
    result = invoke("stats")
    assert (result.exit_code, "'redis_password_file' must be" in " ".join(result.output.split())) == (1, True)
