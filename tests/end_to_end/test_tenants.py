"""Two tenants of one deployment: real workers, and memories that know nothing of each other."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest

from contract.choices import MemoryOutcome
from radii.own_key import hashed_file
from tests.support.command_line import radii
from tests.support.remembering import STRONG, WEAK, apart, certify, predict, regions
from tests.support.service import Service
from tests.support.waiting import until

TENANTS = {"ann": "acme", "bob": "bolt"}


@pytest.fixture(scope="module")
def tenants(running: Service) -> Iterator[tuple[Service, Service]]:
    """The same stack, as each of them sees it; it takes the keys while it runs."""
    file = str(hashed_file(running.data_dir))
    with ExitStack() as clients:
        found = []
        for name, tenant in TENANTS.items():
            made = radii("keys", "create", name, "--tenant", tenant, "--file", file)
            assert made.returncode == 0, made.stderr
            headers = {"X-API-Key": made.stdout.strip()}
            http = clients.enter_context(httpx.Client(base_url=running.url, timeout=60, headers=headers))
            until(lambda http=http: http.get("/models").status_code != 401)  # type: ignore[misc]
            found.append(replace(running, http=http))
        yield found[0], found[1]
        for name in TENANTS:
            assert radii("keys", "revoke", name, "--file", file).returncode == 0


def test_nothing_is_relabelled_or_clipped_by_others(tenants: tuple[Service, Service]) -> None:
    """What binds the one tenant's answers does not bind the other's, under the same name."""
    ann, bob = tenants
    first = certify(ann, 100, STRONG, memory="shared")
    assert (first.memory.namespace, first.memory.outcome) == ("acme/shared", MemoryOutcome.ADDED)
    assert "'acme/shared'" in first.claim
    beside = 101 + int(first.radius.l2 * 255 / 192**0.5)
    assert apart(100, 110) < first.radius.l2
    for level in (110, beside):
        name = f"shared-{level}"
        others = certify(ann, 100, STRONG, memory=name)
        free = certify(bob, level, WEAK, memory=name)
        bound = certify(ann, level, WEAK, memory=name)
        assert (free.memory.namespace, free.memory.outcome) == (f"bolt/{name}", MemoryOutcome.ADDED)
        assert (free.memory.index, free.memory.neighbours) == (0, [])
        assert free.memory.epoch != others.memory.epoch
        assert free.label is not None
        assert (free.label.name, free.radius) == ("smooth", free.noise[0].radius)
        assert bound.memory.outcome in (MemoryOutcome.RELABELLED, MemoryOutcome.CLIPPED)
        assert bound.memory.neighbours == [0]


def test_nothing_is_repeated_to_others(tenants: tuple[Service, Service]) -> None:
    """The very same question: its answer is known, but not theirs."""
    ann, bob = tenants
    first = certify(ann, 100, STRONG, memory="asked")
    own = certify(bob, 100, STRONG, memory="asked")
    assert own.compute.samples > 0
    assert own.memory.outcome is MemoryOutcome.ADDED
    assert certify(ann, 100, STRONG, memory="asked").memory.outcome is MemoryOutcome.REPEATED
    again = certify(bob, 100, STRONG, memory="asked")
    assert again.memory.outcome is MemoryOutcome.REPEATED
    assert again.seed == own.seed == first.seed  # of the model and the image, whoever asks
    assert predict(ann, 105, WEAK, memory="asked").memory.neighbours == [0]


def test_nothing_is_predicted_from_others(tenants: tuple[Service, Service]) -> None:
    ann, bob = tenants
    certify(ann, 100, STRONG, memory="predicted")
    inside = predict(ann, 105, WEAK, memory="predicted")
    outside = predict(bob, 105, WEAK, memory="predicted")
    assert (inside.memory.outcome, outside.memory.outcome) == (MemoryOutcome.REPEATED, MemoryOutcome.NONE)
    assert inside.label != outside.label


def test_nothing_of_others_is_told(tenants: tuple[Service, Service], running: Service) -> None:
    """Their regions are not listed, their certificates not found; the operator's check covers all of them."""
    ann, bob = tenants
    first = certify(ann, 100, STRONG, memory="listed")
    assert regions(bob, "listed").total == 0
    page = regions(ann, "listed")
    assert (page.total, page.memory) == (1, "acme/listed")
    assert page.memory == first.memory.namespace
    assert regions(running, "listed").total == 0
    assert regions(running, "listed", tenant="acme").total == 1
    for path in (f"/certificates/{first.id}", f"/jobs/{first.id}", f"/jobs/{first.id}/events"):
        assert bob.http.get(path).status_code == 404
        assert ann.http.get(path).status_code == running.http.get(path).status_code == 200
    assert bob.http.post(f"/certificates/{first.id}/verify").status_code == 404
    checked = radii("memory", "check", "--redis-url", running.redis_url, "--memory", "acme/listed")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "acme/listed" in checked.stdout
