"""The memory of certified regions in Redis: nothing is missed, nothing is lost unnoticed, nothing overlaps."""

import random
import threading
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from redis import Redis

from certifier import Statement
from contract import keys
from contract.certificates import Radius
from contract.choices import MemoryOutcome, NoiseKind, Stage
from contract.jobs import Progress
from contract.keys import pixel_digest
from contract.regions import StoredRegion
from radii.memory.geometry import Balls, smallest_gap
from smoothing.regions import CertifiedRegion
from tests.end_to_end.committing import addition_of
from workers.memory.commit import Addition, CommitOutcome, commit
from workers.memory.mirror import Mirror
from workers.memory.placement import Placed, Placement
from workers.memory.store import MemoryDamaged, RegionStore

SHAPE = (1, 4, 4)
MODEL = "d" * 64


def new_mirror(redis: Redis, shape: tuple[int, int, int] = SHAPE) -> Mirror:
    return Mirror(RegionStore(redis, MODEL, "default"), shape)


def finding(label: int, radius: float, noise: NoiseKind = NoiseKind.GAUSSIAN) -> Statement:
    return Statement(label, Radius(l2=radius, l1=radius, linf=radius / 4))


def draw_image(chance: random.Random, shape: tuple[int, int, int] = SHAPE) -> bytes:
    """Images that lie near to each other."""
    return bytes(128 + chance.randint(-20, 20) for _ in range(shape[0] * shape[1] * shape[2]))


def store(
    redis: Redis,
    mirror: Mirror,
    job_id: str,
    pixels: bytes,
    found: Statement,
    noise: NoiseKind = NoiseKind.GAUSSIAN,
) -> Placed:
    """Places and commits as the pipeline does, with the certificate's id for a certificate."""
    placement = Placement(mirror, "default", mirror.image(pixels), noise, found)
    while True:
        placed = placement.place()
        addition = None
        if placed.region is not None:
            addition = addition_of(mirror, placed, job_id, pixels, SHAPE)
        progress = Progress(stage=Stage.REMEMBERING)
        outcome = commit(redis, job_id, keys.certificate(job_id), job_id, progress, addition)
        if outcome is not CommitOutcome.CONFLICT:
            assert outcome is CommitOutcome.OK
            return placed


def read_log(redis: Redis) -> list[tuple[StoredRegion, list[int]]]:
    """Every region with its centre, past the code that is tested."""
    records: Any = redis.lrange(keys.memory_log(MODEL, "default"), 0, -1)
    regions = [StoredRegion.model_validate_json(record) for record in records]
    centers = keys.memory_centers(MODEL, "default")
    return [(region, list(redis.hget(centers, region.image_digest) or b"")) for region in regions]  # type: ignore[arg-type]


def assert_nothing_overlaps(redis: Redis) -> None:
    """In the exact arithmetic of `radii memory check`, which shares no code with the workers."""
    for (one, x), (other, y) in combinations(read_log(redis), 2):
        if one.label != other.label:
            steps = np.abs(np.array(x, dtype=np.int64) - np.array(y, dtype=np.int64))
            first, second = (Balls.of_radii(region.l2, region.l1) for region in (one, other))
            assert not smallest_gap(steps, first, second).overlaps


def test_a_mirror_finds_every_neighbour(redis: Redis) -> None:
    """Against a comparison with every region, at many reaches, also from a place on."""
    chance = random.Random(1)
    mirror = new_mirror(redis)
    for number in range(120):
        store(
            redis, mirror, f"{number:032x}", draw_image(chance), finding(0, chance.choice([0.0, 0.05, 0.3]))
        )
    mirror.sync()
    log = read_log(redis)
    for reach in (0.0, 0.1, 0.25, 0.4):
        pixels = draw_image(chance)
        for start in (0, 60):
            near = mirror.near(mirror.image(pixels), reach, start)
            expected = [
                index
                for index, (region, center) in enumerate(log)
                if index >= start
                and sum((a - b) ** 2 for a, b in zip(pixels, center, strict=True)) / 255**2
                <= (reach + region.l2) ** 2
            ]
            assert [one.index for one in near] == expected
    assert expected


def test_a_new_mirror_reads_what_another_wrote(redis: Redis) -> None:
    """With progress when it is much."""
    chance = random.Random(2)
    mirror = new_mirror(redis)
    for number in range(30):
        store(redis, mirror, f"{number:032x}", draw_image(chance), finding(number % 3, 0.2))
    mirror.sync()
    other = new_mirror(redis)
    other.sync()
    assert other.head == mirror.head
    assert other.head.length == len(other) == 30
    image = mirror.image(draw_image(chance))
    assert other.near(image, 0.5) == mirror.near(image, 0.5)


def test_an_answer_is_clipped_or_relabelled_by_what_was_there(redis: Redis) -> None:
    """Two nearby images of different labels; the distance of their centres is 40/255 in one pixel."""
    mirror = new_mirror(redis)
    near, far = bytes([100] * 16), bytes([140, *[100] * 15])
    first = store(redis, mirror, "1" * 32, near, finding(0, 0.1))
    assert first.memory.outcome is MemoryOutcome.ADDED
    assert (first.memory.index, first.radius.l2, first.radius.l1) == (0, 0.1, 0.1)
    clipped = store(redis, mirror, "2" * 32, far, finding(1, 0.5))
    assert clipped.memory.outcome is MemoryOutcome.CLIPPED
    assert clipped.label == 1
    assert 40 / 255 - 0.1 - 2e-6 < clipped.radius.l2 < 40 / 255 - 0.1
    assert clipped.memory.neighbours == [0]
    relabelled = store(redis, mirror, "3" * 32, bytes([110, *[100] * 15]), finding(2, 0.5))
    assert relabelled.memory.outcome is MemoryOutcome.RELABELLED
    assert relabelled.label == 0
    assert 0.1 - 10 / 255 - 2e-6 < relabelled.radius.l2 <= 0.1 - 10 / 255
    assert_nothing_overlaps(redis)


def test_what_holds_an_image_is_inherited(redis: Redis) -> None:
    """By an answer of smaller radius, and by votes that separate no class; the latter are not stored."""
    mirror = new_mirror(redis)
    store(redis, mirror, "1" * 32, bytes([100] * 16), finding(0, 0.5))
    inside = bytes([110, *[100] * 15])
    small = store(redis, mirror, "2" * 32, inside, finding(0, 0.1))
    assert small.memory.outcome is MemoryOutcome.ADDED
    assert small.region == CertifiedRegion(0, l2=0.1)
    assert 0.5 - 10 / 255 - 2e-6 < small.radius.l2 <= 0.5 - 10 / 255
    assert small.memory.inherited is not None
    assert small.radius.l2 == small.memory.inherited.l2
    nothing = Statement(None, Radius(l2=0, l1=0, linf=0))
    abstained = store(redis, mirror, "3" * 32, inside, nothing)
    assert (abstained.label, abstained.region, abstained.memory.index) == (0, None, None)
    assert abstained.memory.outcome is MemoryOutcome.RELABELLED
    outside = store(redis, mirror, "4" * 32, bytes(16), nothing)
    assert (outside.label, outside.memory.outcome) == (None, MemoryOutcome.NONE)
    assert len(read_log(redis)) == 2


@pytest.mark.parametrize("noise", list(NoiseKind))
def test_published_radii_lie_in_the_region(redis: Redis, noise: NoiseKind) -> None:
    """Whatever norm a client relies on, the memory keeps the promise."""
    mirror = new_mirror(redis)
    found = Statement(0, Radius(l2=0.3, l1=0.4, linf=0.2))
    placed = store(redis, mirror, "1" * 32, bytes(16), found, noise)
    assert placed.region is not None
    region, radius = placed.region, placed.radius
    assert radius.l2 <= max(region.l2, region.l1 / 4)
    assert radius.l1 <= max(region.l1, region.l2)
    assert radius.linf <= max(region.l2 / 4, region.l1 / 16)
    assert (region.l2 > 0, region.l1 > 0) == (noise is not NoiseKind.UNIFORM, noise is not NoiseKind.GAUSSIAN)


def test_workers_at_once_keep_the_invariant_and_recheck_new_regions_only(
    redis: Redis, redis_url: str
) -> None:
    """Eight of them, each with its own mirror, let go at the same instant, round after round."""
    workers, rounds = 8, 40
    barrier = threading.Barrier(workers)
    searched: list[tuple[int, int]] = []
    faults: list[BaseException] = []

    class Watched(Mirror):
        def near(self, image: Any, reach: float, start: int = 0) -> Any:
            searched.append((start, len(self)))
            return super().near(image, reach, start)

    def work(number: int) -> None:
        chance = random.Random(number)
        with Redis.from_url(redis_url, single_connection_client=True) as own:
            mirror = Watched(RegionStore(own, MODEL, "default"), SHAPE)
            for turn in range(rounds):
                barrier.wait()
                noise = chance.choice(list(NoiseKind))
                found = Statement(chance.randrange(3), Radius(l2=0.3, l1=0.4, linf=0.01))
                store(own, mirror, f"{turn:016x}{number:016x}", draw_image(chance), found, noise)

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as fault:
            faults.append(fault)
            barrier.abort()
            raise

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    log = read_log(redis)
    assert len({region.certificate_id for region, _ in log}) == len(log) == workers * rounds
    assert_nothing_overlaps(redis)
    again = [(start, end) for start, end in searched if start > 0]
    assert again  # there were conflicts
    assert max(end - start for start, end in again) <= workers * 2


def test_a_wiped_memory_is_another_epoch(redis: Redis) -> None:
    """What was mirrored is forgotten, and the next answer is the first of a new memory."""
    mirror = new_mirror(redis)
    first = store(redis, mirror, "1" * 32, bytes(16), finding(0, 0.5))
    redis.flushall()
    second = store(redis, mirror, "2" * 32, bytes(16), finding(1, 0.5))
    assert second.memory.outcome is MemoryOutcome.ADDED
    assert second.memory.index == 0
    assert second.memory.epoch not in (None, first.memory.epoch)


def test_lost_regions_are_noticed_and_end_the_epoch(redis: Redis) -> None:
    """A log that was set back, even when others have filled the gap since."""
    mirror, other = new_mirror(redis), new_mirror(redis)
    chance = random.Random(3)
    for number in range(5):
        store(redis, mirror, f"{number:032x}", draw_image(chance), finding(0, 0.1))
    before = {name: redis.dump(name) for name in redis.scan_iter("radii:memory:*")}
    store(redis, mirror, "6" * 32, draw_image(chance), finding(0, 0.1))
    mirror.sync()
    epoch = mirror.head.epoch
    for name, content in before.items():
        redis.restore(name, 0, content, replace=True)  # type: ignore[arg-type]
    store(redis, other, "7" * 32, draw_image(chance), finding(1, 0.1))
    other.sync()
    assert other.head.epoch == epoch  # it has not seen what is gone
    mirror.sync()
    assert mirror.head.epoch != epoch
    assert len(mirror) == 6
    other.sync()
    assert other.head == mirror.head


@pytest.mark.parametrize("damage", ["center", "record", "head", "size"])
def test_damage_is_refused(redis: Redis, damage: str) -> None:
    """Nothing is answered from a memory whose parts do not belong together."""
    mirror = new_mirror(redis)
    chance = random.Random(4)
    for number in range(3):
        store(redis, mirror, f"{number:032x}", draw_image(chance), finding(0, 0.1))
    log, centers, head = (
        named(MODEL, "default") for named in (keys.memory_log, keys.memory_centers, keys.memory_head)
    )
    (digest, *_) = redis.hkeys(centers)  # type: ignore[misc]
    if damage == "center":
        redis.hdel(centers, digest)
    elif damage == "size":
        redis.hset(centers, digest, b"too short")
    elif damage == "record":
        redis.lset(log, 1, redis.lindex(log, 0))  # type: ignore[arg-type]
    else:
        redis.hdel(head, "head")
    with pytest.raises(MemoryDamaged, match=f"memory {MODEL[:12]}:default"):
        new_mirror(redis).sync()


def test_a_commit_needs_the_log_that_it_was_reconciled_with(redis: Redis) -> None:
    """Otherwise neither region nor answer is stored; nor for a cancelled job, nor twice for one."""
    mirror, other = new_mirror(redis), new_mirror(redis)
    pixels = bytes(16)
    placed = Placement(mirror, "default", mirror.image(pixels), NoiseKind.GAUSSIAN, finding(0, 0.1)).place()
    addition = addition_of(mirror, placed, "1" * 32, pixels, SHAPE)
    store(redis, other, "2" * 32, bytes([200] * 16), finding(1, 0.1))
    progress = Progress(stage=Stage.REMEMBERING)

    def committed(job_id: str, one: Addition) -> CommitOutcome:
        return commit(redis, job_id, keys.certificate(job_id), "answer", progress, one)

    assert committed("1" * 32, addition) is CommitOutcome.CONFLICT
    assert not redis.exists(keys.certificate("1" * 32))
    assert len(read_log(redis)) == 1
    placed = Placement(mirror, "default", mirror.image(pixels), NoiseKind.GAUSSIAN, finding(0, 0.1)).place()
    addition = addition_of(mirror, placed, "1" * 32, pixels, SHAPE)
    redis.set(keys.cancel("1" * 32), 1)
    assert committed("1" * 32, addition) is CommitOutcome.CANCELLED
    assert committed("2" * 32, addition) is CommitOutcome.DUPLICATE
    redis.delete(keys.cancel("1" * 32))
    assert committed("1" * 32, addition) is CommitOutcome.OK
    assert committed("1" * 32, addition) is CommitOutcome.DUPLICATE
    assert len(read_log(redis)) == 2


def test_the_same_question_is_found_by_image_and_words(redis: Redis) -> None:
    """Both digests have to be the same in every bit."""
    mirror = new_mirror(redis)
    chance = random.Random(5)
    images = [draw_image(chance) for _ in range(20)]
    for number, pixels in enumerate([*images, images[3]]):
        store(redis, mirror, f"{number:032x}", pixels, finding(0, 0.1))
    mirror.sync()
    digest = pixel_digest(images[3], *SHAPE[1:], SHAPE[0])
    assert mirror.same_question(digest, "e" * 64) == [3, 20]
    assert mirror.same_question(digest, "e" * 63 + "f") == []
    assert mirror.same_question("0" * 64, "e" * 64) == []
    assert np.all(mirror.nbytes > 0)


@pytest.mark.parametrize("shape", [(3, 512, 512), (3, 518, 518), (1, 1100, 1100)])
def test_a_memory_takes_images_of_any_size(redis: Redis, shape: tuple[int, int, int]) -> None:
    """Also where the sum over a block of the coarse sketch is no longer exact in float32."""
    mirror = new_mirror(redis, shape)
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8).transpose(1, 2, 0)
    brighter, other = pixels.copy(), (255 - pixels)
    brighter[0, 0, 0] ^= 1
    for number, image in enumerate((pixels, brighter, other)):
        progress = Progress(stage=Stage.REMEMBERING)
        found = finding(0, 0.25)
        job_id = f"{number:032x}"
        placed = Placement(
            mirror, "default", mirror.image(image.tobytes()), NoiseKind.GAUSSIAN, found
        ).place()
        addition = addition_of(mirror, placed, job_id, image.tobytes(), shape)
        assert commit(redis, job_id, keys.certificate(job_id), job_id, progress, addition) is CommitOutcome.OK
    mirror.sync()
    near = mirror.near(mirror.image(pixels.tobytes()), 0.25)
    assert [one.index for one in near] == [0, 1]
