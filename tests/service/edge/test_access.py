"""Who is let in, with what key, and what of others' they see: nothing."""

import hmac
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.certificates import Certificate
from contract.choices import ProblemCode
from contract.limits import CERTIFICATE_TTL, IMAGE_TTL, MAX_BODY_BYTES, SUBMISSION_TTL
from contract.models import ModelInfo
from contract.problems import Problem
from contract.regions import StoredRegion
from service.app import create_app
from service.edge import api_keys
from service.edge.api_keys import KeyRing, hash_key, new_key
from service.edge.callers import KeyScope
from service.settings import Auth, ServiceSettings
from tests.support.streams import blocked, stream
from tests.support.waiting import until

SENT = {name: new_key() for name in ("ann", "bob", "reader", "writer", "root")}
KEPT: dict[str, tuple[str, list[str]]] = {
    "ann": ("acme", ["certify", "read"]),
    "bob": ("bolt", ["certify", "read"]),
    "reader": ("acme", ["read"]),
    "writer": ("acme", ["certify"]),
    "root": ("", ["admin"]),
}
OPEN = {"/livez", "/readyz", "/version", "/openapi.json", "/docs", "/"}
Ask = Callable[..., httpx.Response]


def entry(who: str, **fields: Any) -> dict[str, Any]:
    """What a file says of a key."""
    tenant, scopes = KEPT[who]
    return {"name": who, "sha256": hash_key(SENT[who]), "scopes": scopes, "tenant": tenant, **fields}


def write_keys(file: Path, *entries: dict[str, Any]) -> None:
    """Puts the file in place at once, as `radii keys` does."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"keys": list(entries)}))
    part.replace(file)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "api-keys.json"
    write_keys(file, *map(entry, KEPT))
    return file


@pytest.fixture(scope="module")
def guarded(_valkey: Any, key_file: Path, serve_app: Any) -> Iterator[str]:
    settings = ServiceSettings(
        redis_url=f"{_valkey.connection_url}/0",
        auth=Auth.KEYS,
        api_keys_file=key_file,
        cors_origins=("https://lab.example",),
    )
    with serve_app(create_app(settings)) as url:
        yield url


@pytest.fixture
def ask(guarded: str, redis_url: str, beat: Callable[..., None]) -> Iterator[Ask]:
    """Asks the API as one of those who have keys, or as nobody."""
    beat()
    with httpx.Client(base_url=guarded, timeout=20) as client:

        def request(who: str | None, method: str, path: str, **more: Any) -> httpx.Response:
            headers = {"X-API-Key": SENT[who]} if who else {}
            return client.request(method, path, **{**more, "headers": headers | more.get("headers", {})})

        yield request


@pytest.fixture
def certify(ask: Ask, png: bytes) -> Callable[..., str]:
    """Submits for one of them and returns the job's id."""

    def post(who: str, **fields: str) -> str:
        response = ask(who, "POST", "/certify", files={"image": png}, data={"model": "toy", **fields})
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    return post


def refused(response: httpx.Response, code: ProblemCode) -> Problem:
    """Checks a refusal, and that it is told as all problems are."""
    assert response.headers["Content-Type"] == "application/problem+json"
    told = Problem.model_validate(response.json())
    assert (told.code, told.status) == (code, response.status_code), response.text
    return told


def protected(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Every operation that is not open."""
    return [
        (method.upper(), path.replace("{job_id}", "a" * 32).replace("{certificate_id}", "a" * 32))
        for path, operations in document["paths"].items()
        for method in operations
        if path not in OPEN
    ]


def test_nobody_is_let_in_without_a_key(ask: Ask) -> None:
    """To no operation, and not even to learn which paths there are; it says how to send a key."""
    operations = protected(ask(None, "GET", "/openapi.json").json())
    assert len(operations) >= 12
    for method, path in [
        *operations,
        ("GET", "/nowhere"),
        ("GET", "/metrics"),
        ("POST", "/"),
        ("GET", "/page"),
    ]:
        response = ask(None, method, path)
        told = refused(response, ProblemCode.UNAUTHENTICATED)
        assert "missing" in told.detail
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.headers["X-Request-ID"]


def test_probes_and_descriptions_are_open(ask: Ask) -> None:
    """They tell nothing of anybody."""
    for path in ("/livez", "/readyz", "/version", "/openapi.json", "/docs"):
        assert ask(None, "GET", path).status_code == 200
    for path in ("/", "/page/nothing.js"):
        assert ask(None, "GET", path).status_code in (200, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "radii_wrong"},
        {"X-API-Key": SENT["ann"][:-1]},
        {"X-API-Key": SENT["ann"] + "x"},
        {"X-API-Key": SENT["ann"].upper()},
        {"X-API-Key": hash_key(SENT["ann"])},
        {"X-API-Key": "ann"},
        {"Authorization": "Bearer nonsense"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {SENT['ann']}"},
    ],
)
def test_a_wrong_key_is_no_key(ask: Ask, headers: dict[str, str]) -> None:
    response = ask(None, "GET", "/models", headers=headers)
    assert "unknown" in refused(response, ProblemCode.UNAUTHENTICATED).detail
    assert "invalid_token" in response.headers["WWW-Authenticate"]
    assert not any(value in response.text for value in headers.values() if len(value) > 10)


def test_a_key_is_sent_in_a_header_and_nowhere_else(ask: Ask) -> None:
    """Queries end up in logs and in histories."""
    for name, value in (
        ("X-API-Key", SENT["ann"]),
        ("Authorization", f"Bearer {SENT['ann']}"),
        ("authorization", f"bearer  {SENT['ann']}"),
    ):
        assert ask(None, "GET", "/models", headers={name: value}).status_code == 200
    for name in ("X-API-Key", "api_key", "key", "token", "access_token"):
        refused(ask(None, "GET", "/models", params={name: SENT["ann"]}), ProblemCode.UNAUTHENTICATED)
    refused(
        ask(None, "GET", "/models", headers={"Authorization": f"Basic {SENT['ann']}"}),
        ProblemCode.UNAUTHENTICATED,
    )
    refused(
        ask(None, "GET", "/models", headers={"Cookie": f"X-API-Key={SENT['ann']}"}),
        ProblemCode.UNAUTHENTICATED,
    )


def test_scopes(ask: Ask, certify: Callable[..., str], png: bytes) -> None:
    """Each operation asks for one, and names it where it is missing."""
    job = certify("writer")
    of_readers = [
        ("GET", f"/jobs/{job}"),
        ("GET", f"/jobs/{job}/events"),
        ("GET", f"/certificates/{job}"),
        ("POST", f"/certificates/{job}/verify"),
        ("GET", "/regions?model=toy"),
        ("GET", "/models"),
        ("GET", "/models/toy"),
    ]
    for method, path in of_readers:
        detail = refused(ask("writer", method, path), ProblemCode.FORBIDDEN).detail
        assert "'writer' must include read, got certify" in detail
    for method, path in of_readers[2:]:
        assert ask("reader", method, path).status_code in (200, 404)
    of_writers = [(("DELETE", f"/jobs/{job}"))]
    of_writers += [("POST", path) for path in ("/certify", "/predict", "/certify/json", "/predict/json")]
    bodies: dict[str, dict[str, Any]] = {
        path: {"files": {"image": png}, "data": {"model": "toy"}} for path in ("/certify", "/predict")
    }
    for method, path in of_writers:
        body = bodies.get(path, {"json": {"model": "toy", "image": ""}} if path.endswith("json") else {})
        assert "certify" in refused(ask("reader", method, path, **body), ProblemCode.FORBIDDEN).detail
    assert ask("reader", "GET", f"/jobs/{job}").json()["status"] == "queued"
    assert ask("writer", "DELETE", f"/jobs/{job}").status_code == 200


def test_administrators_may_do_everything(ask: Ask, certify: Callable[..., str]) -> None:
    """Their scope implies the others, and they see everybody's."""
    job = certify("ann")
    assert ask("root", "GET", f"/jobs/{job}").status_code == 200
    assert ask("root", "GET", "/models").status_code == 200
    assert ask("root", "DELETE", f"/jobs/{job}").status_code == 200
    certify("root")


def test_another_tenants_jobs_do_not_exist(
    ask: Ask, certify: Callable[..., str], redis: Redis, certificate: Callable[..., Certificate]
) -> None:
    """They are answered as an id is that was never given out; colleagues see them."""
    job = certify("ann")
    redis.set(keys.certificate(job), certificate(job).model_dump_json())
    paths = [
        ("GET", "/jobs/{}"),
        ("GET", "/jobs/{}?wait=5"),
        ("GET", "/jobs/{}/events"),
        ("DELETE", "/jobs/{}"),
        ("GET", "/certificates/{}"),
        ("POST", "/certificates/{}/verify"),
    ]
    for method, path in paths:
        told = [
            refused(ask("bob", method, path.format(one)), ProblemCode.NOT_FOUND) for one in (job, "b" * 32)
        ]
        assert told[0] == told[1]
        if method != "DELETE":
            assert ask("reader", method, path.format(job)).status_code == 200
            assert ask("root", method, path.format(job)).status_code == 200
    assert ask("ann", "GET", f"/jobs/{job}").json()["status"] == "succeeded"


def test_another_tenants_job_cannot_be_cancelled(ask: Ask, certify: Callable[..., str]) -> None:
    """It goes on."""
    job = certify("ann")
    refused(ask("bob", "DELETE", f"/jobs/{job}"), ProblemCode.NOT_FOUND)
    assert ask("ann", "GET", f"/jobs/{job}").json()["status"] == "queued"


def test_an_owner_is_known_as_long_as_the_certificate(redis: Redis, certify: Callable[..., str]) -> None:
    """It is written with the job, and however late the answer comes, the answer expires first."""
    job = certify("ann")
    assert redis.get(keys.owner(job)) == b"acme"
    left: Any = redis.ttl(keys.owner(job))
    assert left > CERTIFICATE_TTL + max(IMAGE_TTL, SUBMISSION_TTL) - 60


def test_certificates_stay_their_owners_when_the_job_is_forgotten(
    ask: Ask, certify: Callable[..., str], redis: Redis, certificate: Callable[..., Certificate]
) -> None:
    job = certify("ann")
    redis.set(keys.certificate(job), certificate(job).model_dump_json())
    redis.delete(keys.submission(job), keys.events(job))
    refused(ask("bob", "GET", f"/certificates/{job}"), ProblemCode.NOT_FOUND)
    response = ask("ann", "GET", f"/certificates/{job}")
    assert response.status_code == 200
    assert response.headers["Cache-Control"].startswith("private")  # no proxy may hand it to others
    assert "X-API-Key" in response.headers["Vary"]


def test_what_was_made_without_keys_is_nobodys(
    ask: Ask, redis: Redis, certificate: Callable[..., Certificate]
) -> None:
    """Tenants do not see it; a key without a tenant would."""
    redis.set(keys.certificate("c" * 32), certificate("c" * 32).model_dump_json())
    refused(ask("ann", "GET", f"/certificates/{'c' * 32}"), ProblemCode.NOT_FOUND)
    assert ask("root", "GET", f"/certificates/{'c' * 32}").status_code == 200


def test_each_tenant_has_its_own_memories(
    ask: Ask, certify: Callable[..., str], redis: Redis, work: Callable[..., None]
) -> None:
    """The worker is told the name in the whole deployment, which no request can spell."""
    given: list[str | None] = []
    for who in ("ann", "bob", "root"):
        certify(who)
        certify(who, memory="default")
        certify(who, memory="off")
        work(lambda task: given.append(task["question"]["resolved"]["memory"]))
    default = [f"{tenant}default" for tenant in ("acme/", "bolt/", "") for _ in range(2)]
    assert [name for name in given if name is not None] == default
    assert given.count(None) == 3
    for sent in ("bolt/default", "acme/default"):
        response = ask("ann", "POST", "/certify", files={"image": b""}, data={"memory": sent})
        assert refused(response, ProblemCode.INVALID_FIELD).errors[0].pointer == "/memory"
        refused(ask("ann", "GET", "/regions", params={"memory": sent}), ProblemCode.INVALID_FIELD)


def test_another_tenants_regions_are_not_told(ask: Ask, redis: Redis, toy: ModelInfo) -> None:
    """Under the same name; an administrator may name the tenant."""
    record = StoredRegion(
        certificate_id="a" * 32,
        image_digest="b" * 64,
        label=1,
        l2=0.5,
        l1=0.5,
        outcome="added",
        question="f" * 64,
        created_at=datetime.now(UTC),
    )
    redis.rpush(keys.memory_log(toy.digest, "acme/default"), record.model_dump_json())
    seen = {who: ask(who, "GET", "/regions?model=toy").json() for who in ("ann", "bob", "root")}
    assert {who: page["total"] for who, page in seen.items()} == {"ann": 1, "bob": 0, "root": 0}
    assert (seen["ann"]["memory"], seen["root"]["memory"]) == ("acme/default", "default")
    theirs = "/regions?model=toy&tenant=acme"
    assert ask("root", "GET", theirs).json()["total"] == ask("ann", "GET", theirs).json()["total"] == 1
    assert "admin" in refused(ask("bob", "GET", theirs), ProblemCode.FORBIDDEN).detail


def announce(url: str, path: str, *headers: str) -> str:
    """Announces a body that is too large, sends none of it, and returns the head of the answer."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {2 * MAX_BODY_BYTES}", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return connection.recv(4096).decode().partition("\r\n\r\n")[0]


def test_it_is_refused_before_a_body_is_read(ask: Ask, guarded: str) -> None:
    """Neither strangers nor keys that may not submit make the API read megabytes, whatever operation has a body.

    A 401 comes before a 403, that before a rate is counted, and all before the size of the body.
    """
    document = ask(None, "GET", "/openapi.json").json()
    paths = [path for path, told in document["paths"].items() if "requestBody" in told.get("post", {})]
    assert len(paths) == 4
    for path in paths:
        assert announce(guarded, path).startswith("HTTP/1.1 401")
        refused = announce(guarded, path, f"X-API-Key: {SENT['reader']}")
        assert refused.startswith("HTTP/1.1 403")
        assert "ratelimit" not in refused.lower()
        too_large = announce(guarded, path, f"X-API-Key: {SENT['writer']}")
        assert too_large.startswith("HTTP/1.1 413")
        assert "ratelimit" in too_large.lower()


def test_the_description_says_which_operations_need_a_key(ask: Ask) -> None:
    """So that generated clients can send one; 401 and 403 are described."""
    document = ask(None, "GET", "/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["ApiKey"] | {"description": ""} == {
        "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "",
    }  # fmt: skip
    assert schemes["Bearer"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                assert operation["security"] == []
            else:
                assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}]
                assert {"401", "403"} <= set(operation["responses"])


# Keys come and go while the API runs.


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, KeyRing]:
    """The keys of a file, looked at again at every request rather than every second."""
    monkeypatch.setattr(api_keys, "_LOOK_SECONDS", 0.0)
    file = tmp_path / "keys.json"
    write_keys(file, entry("ann"), entry("bob"))
    return file, KeyRing(file)


def known(ring: KeyRing) -> set[str]:
    return {name for name, key in SENT.items() if ring.find(key) is not None}


def test_keys_come_and_go_without_a_restart(ring: tuple[Path, KeyRing]) -> None:
    file, found = ring
    assert known(found) == {"ann", "bob"}
    write_keys(file, entry("bob"), entry("root"))
    assert known(found) == {"bob", "root"}
    assert found.find(SENT["root"]) == api_keys.Caller("root", "", frozenset({KeyScope.ADMIN}))
    write_keys(file)
    assert known(found) == set()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"keys": 3}', "gone", "folder", "binary"])
def test_a_broken_file_changes_nothing_and_is_complained_about(
    ring: tuple[Path, KeyRing], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once: not at every request."""
    file, found = ring
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "binary":
        file.write_bytes(b"\xff\xfe")
    elif damage != "gone":
        file.write_text(damage)
    for _ in range(3):
        assert known(found) == {"ann", "bob"}
    said = capsys.readouterr()
    assert (said.out + said.err).count("api_keys_not_read") == 1
    if damage == "folder":
        file.rmdir()
    write_keys(file, entry("root"))
    assert known(found) == {"root"}


def test_a_running_api_refuses_a_revoked_key_a_second_later(
    redis_url: str, serve_app: Callable[..., Any], tmp_path: Path
) -> None:
    """Over HTTP, as it is when nothing is hurried."""
    file = tmp_path / "keys.json"
    write_keys(file, entry("ann"), entry("bob"))
    settings = ServiceSettings(redis_url=redis_url, auth=Auth.KEYS, api_keys_file=file)
    with serve_app(create_app(settings)) as url, httpx.Client(base_url=url) as client:
        ann, bob = ({"X-API-Key": SENT[name]} for name in ("ann", "bob"))
        assert client.get("/models", headers=ann).status_code == 200
        write_keys(file, entry("bob"))
        until(lambda: client.get("/models", headers=ann).status_code == 401)
        assert client.get("/models", headers=bob).status_code == 200


@pytest.fixture
def waiting(
    redis_url: str, beat: Callable[..., None], png: bytes, serve_app: Callable[..., Any], tmp_path: Path
) -> Iterator[tuple[Path, httpx.Client, str]]:
    """The file of keys of an API, ann as its client, and a job of ann's that nobody works on."""
    beat()
    file = tmp_path / "keys.json"
    write_keys(file, entry("ann"), entry("bob", tenant="acme"))
    settings = ServiceSettings(redis_url=redis_url, auth=Auth.KEYS, api_keys_file=file)
    with (
        serve_app(create_app(settings)) as url,
        httpx.Client(base_url=url, headers={"X-API-Key": SENT["ann"]}) as ann,
    ):
        yield file, ann, ann.post("/certify", files={"image": png}, data={"model": "toy"}).json()["id"]


def test_a_stream_ends_when_its_key_is_revoked(waiting: tuple[Path, httpx.Client, str]) -> None:
    """It says why, and tells nothing of the job any more; the streams of other keys go on."""
    file, ann, job = waiting
    with (
        httpx.Client(base_url=ann.base_url, headers={"X-API-Key": SENT["bob"]}) as bob,
        stream(bob, job) as others,
        stream(ann, job) as events,
    ):
        assert (next(events)["event"], next(others)["event"]) == ("progress", "progress")
        write_keys(file, entry("bob", tenant="acme"))
        last = next(events)
        assert last["event"] == "error"
        told = Problem.model_validate_json(last["data"])
        assert (told.code, told.status) == (ProblemCode.UNAUTHENTICATED, 401)
        assert list(events) == []
        assert bob.delete(f"/jobs/{job}").status_code == 200
        assert [event["event"] for event in others] == ["job"]


def test_a_stream_ends_when_its_key_gets_other_scopes(waiting: tuple[Path, httpx.Client, str]) -> None:
    """It is asked for again, and then what the key may do now counts."""
    file, ann, job = waiting
    with stream(ann, job) as events:
        next(events)
        write_keys(file, entry("ann", scopes=["certify"]))
        assert list(events) == []
    refused(ann.get(f"/jobs/{job}/events"), ProblemCode.FORBIDDEN)


def test_a_wait_ends_when_its_key_is_revoked(waiting: tuple[Path, httpx.Client, str], redis: Redis) -> None:
    """With the job as it was; the next is refused."""
    file, ann, job = waiting
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(ann.get, f"/jobs/{job}", params={"wait": 30}, timeout=40)
        until(lambda: blocked(redis) == 1)
        write_keys(file)
        response = waits.result()
    assert response.json()["status"] == "queued"
    assert response.elapsed.total_seconds() < 25  # of the 30 that it asked for
    refused(ann.get(f"/jobs/{job}"), ProblemCode.UNAUTHENTICATED)


def test_every_key_is_compared(ring: tuple[Path, KeyRing], monkeypatch: pytest.MonkeyPatch) -> None:
    """In constant time each, and whether or not one was found: how long it takes says nothing."""
    compared: list[str] = []

    def compare(one: str, other: str, real: Any = hmac.compare_digest) -> bool:
        compared.append(one)
        return bool(real(one, other))

    monkeypatch.setattr(hmac, "compare_digest", compare)
    _, found = ring
    for key in (SENT["ann"], SENT["bob"], "wrong", ""):
        compared.clear()
        found.find(key)
        assert compared == [hash_key(SENT["ann"]), hash_key(SENT["bob"])]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"name": "a b"}], ["keys.0.name", "pattern", "'a b'"]),
        ([{"sha256": "abc"}], ["keys.0.sha256", "pattern"]),
        ([{"scopes": ["write"]}], ["keys.0.scopes", "'certify', 'read' or 'admin'", "'write'"]),
        ([{"scopes": []}], ["keys.0.scopes", "at least 1 item"]),
        ([{"tenant": "a/b"}], ["keys.0.tenant", "pattern", "'a/b'"]),
        ([{"tenant": "a:b"}], ["keys.0.tenant", "pattern", "'a:b'"]),
        ([{"key": "'abc'"}], ["keys.0.key", "not permitted"]),
        ([{}, {"sha256": "0" * 64}], ["'name' must differ between keys, got 'ann' twice"]),
        ([{}, {"name": "eve"}], ["'sha256' must differ between keys"]),
    ],
)
def test_a_file_that_is_wrong_is_told_by_field(
    tmp_path: Path, entries: list[dict[str, Any]], words: list[str]
) -> None:
    """At start the API refuses it; a key that was put in place of its hash is not repeated."""
    file = tmp_path / "keys.json"
    write_keys(file, *(entry("ann", **fields) for fields in entries))
    with pytest.raises(api_keys.Misconfiguration) as raised:
        KeyRing(file)
    for word in [str(file), *words]:
        assert word in str(raised.value)
    assert "'abc'" not in str(raised.value)


def test_keys_cannot_be_guessed() -> None:
    """256 random bits each, and none is twice."""
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("radii_") and len(key) == len("radii_") + 43 for key in made)
