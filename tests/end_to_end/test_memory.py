"""The memory of certified regions on the real stack, shared by two workers.

The model `by-noise` answers "rough" under much noise and "smooth" under little: the plainest classifier whose
certificates at levels chosen per image would contradict each other.
"""

import random

import pytest
from rq import Worker

from contract.choices import JobStatus, MemoryOutcome
from tests.support.command_line import radii
from tests.support.pictures import grey_level
from tests.support.processes import children, kill
from tests.support.remembering import MODEL, STRONG, WEAK, apart, certify, predict, regions
from tests.support.service import Service
from tests.support.waiting import until


def test_without_memory_the_answers_contradict_each_other(running: Service) -> None:
    """What it is for: a picture inside the radius of another gets another label, and both are certified."""
    one, other = certify(running, 100, STRONG), certify(running, 110, WEAK)
    assert one.memory.outcome is other.memory.outcome is MemoryOutcome.OFF
    assert one.label is not None
    assert other.label is not None
    assert (one.label.name, other.label.name) == ("rough", "smooth")
    assert apart(100, 110) < one.radius.l2


def test_later_answers_agree_with_earlier_ones(running: Service) -> None:
    """Relabelled inside an earlier region, clipped beside it, and none overlaps another."""
    first = certify(running, 100, STRONG, memory="pair")
    assert first.memory.outcome is MemoryOutcome.ADDED
    assert first.memory.index == 0
    assert first.label is not None
    inside = certify(running, 110, WEAK, memory="pair")
    assert inside.memory.outcome is MemoryOutcome.RELABELLED
    assert inside.memory.neighbours == [0]
    assert inside.label == first.label
    assert inside.noise[0].top_class != inside.label.index  # its own votes say otherwise
    assert 0 < inside.radius.l2 <= first.radius.l2 - apart(100, 110)
    beside = 101 + int(first.radius.l2 * 255 / 192**0.5)
    outside = certify(running, beside, WEAK, memory="pair")
    assert outside.memory.outcome is MemoryOutcome.CLIPPED
    assert outside.label is not None
    assert outside.label.name == "smooth"
    assert 0 < outside.radius.l2 < apart(100, beside) - first.radius.l2
    assert outside.radius.l2 < outside.noise[0].radius.l2
    assert {one.memory.epoch for one in (first, inside, outside)} == {first.memory.epoch}
    page = regions(running, "pair")
    assert (page.epoch, page.total, page.next) == (first.memory.epoch, 3, None)
    assert [region.certificate_id for region in page.regions] == [first.id, inside.id, outside.id]
    assert [region.label.name for region in page.regions] == ["rough", "rough", "smooth"]
    (second,) = regions(running, "pair", start=1, limit=1).regions
    assert second == page.regions[1]


def test_what_is_known_is_answered_without_sampling(running: Service) -> None:
    """The same question about the same picture, by whichever worker; `fresh` asks for new votes."""
    first = certify(running, 100, STRONG, memory="known")
    again = certify(running, 100, STRONG, memory="known", label="smooth")
    assert again.memory.outcome is MemoryOutcome.REPEATED
    assert (again.memory.index, again.compute.samples, again.correct) == (0, 0, False)
    assert (again.radius, again.label, again.noise) == (first.radius, first.label, first.noise)
    assert again.id != first.id
    for anew in (
        certify(running, 100, STRONG, memory="known", fresh="true"),
        certify(running, 100, STRONG, memory="known", n=600),
        certify(running, 100, STRONG, memory="other"),
        certify(running, 100, STRONG),
    ):
        assert anew.compute.samples > 0
    assert regions(running, "known").total == 3


def test_predictions_come_from_the_region_that_holds_the_picture(running: Service) -> None:
    """Without a vote; outside of all regions the votes decide, and nothing is stored."""
    first = certify(running, 100, STRONG, memory="predicted")
    assert first.label is not None
    inside = predict(running, 105, WEAK, memory="predicted")
    assert inside.label == first.label
    assert (inside.noise, inside.compute.samples) == ([], 0)
    assert inside.memory.outcome is MemoryOutcome.REPEATED
    assert inside.memory.neighbours == [0]
    outside = predict(running, 255, WEAK, memory="predicted")
    assert outside.label is not None
    assert outside.label.name == "smooth"
    assert outside.memory.outcome is MemoryOutcome.NONE
    assert predict(running, 105, WEAK).label == outside.label
    assert regions(running, "predicted").total == 1


def test_a_level_per_image_is_remembered_by_default(running: Service) -> None:
    """And a fixed one is not, unless a namespace is named."""
    job = running.certify_picture(running.picture.read_bytes(), 60, n=500, adapt="false")
    assert job.certificate is not None
    assert job.certificate.memory.namespace == "default"
    assert "Every later answer of this deployment" in job.certificate.claim
    fixed = running.certify(n=500).certificate
    assert fixed is not None
    assert fixed.memory.outcome is MemoryOutcome.OFF


@pytest.mark.parametrize("query", [{"memory": "off"}, {"memory": "a b"}, {"start": "-1"}, {"limit": "0"}])
def test_bad_pages_are_refused(running: Service, query: dict[str, str]) -> None:
    """By field."""
    response = running.http.get("/regions", params={"model": MODEL, **query})
    assert response.status_code == 422
    assert next(iter(query)) in response.json()["detail"]


def relays(running: Service) -> list[int]:
    """The forks that wait for an engine's answer."""
    workers = [worker.pid for worker in Worker.all(connection=running.redis) if worker.pid]
    return [relay for worker in workers for relay in children(worker)]


def test_killing_engines_and_relays_loses_no_region(running: Service) -> None:
    """Every job that succeeded has its certificate and one region, and none was committed twice."""
    running.wait_for_engines(2)
    chance = random.Random(3)
    jobs = []
    for number in range(40):
        sigma = chance.choice([STRONG, WEAK])
        level = chance.randrange(60, 200)
        jobs.append(
            running.certify_picture(grey_level(level), 0, model=MODEL, sigma=sigma, memory="killed", n=20_000)
        )
        if number in (8, 24):
            kill(until(running.living_engines)[0].pid)
        elif number in (16, 32):
            for relay in until(lambda: relays(running)):
                kill(relay)
    final = [running.final(job.id) for job in jobs]
    assert [job.status for job in final] == [JobStatus.SUCCEEDED] * len(jobs)
    assert max(job.attempt for job in final) > 1
    page = regions(running, "killed", limit=1000)
    stored = [region.certificate_id for region in page.regions]
    assert len(stored) == len(set(stored))
    certificates = [job.certificate for job in final]
    added = [
        one.id for one in certificates if one is not None and one.memory.outcome is not MemoryOutcome.REPEATED
    ]
    assert sorted(stored) == sorted(added)
    checked = radii("memory", "check", "--redis-url", running.redis_url)
    assert checked.returncode == 0, checked.stdout + checked.stderr
