"""`radii memory check` on logs written by hand: what it proves, and that nothing wrong passes."""

import math
from collections.abc import Callable

import pytest
from redis import Redis
from typer.testing import CliRunner

from contract.keys import pixel_digest
from radii.main import app
from tests.radii.memory.logs import EPOCH, Log

BELOW, ABOVE = math.nextafter(0.5, 0), math.nextafter(0.5, 1)
BLACK, WHITE, GREY = [0, 0], [255, 0], [51, 0]  # at distances 1 and 0.2 of black, in both norms
CORNER = [255, 255]


@pytest.fixture
def check(redis_url: str) -> Callable[..., tuple[int, str]]:
    """Runs the command; returns its exit status, and what it printed on one line."""

    def run(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["memory", "check", "--redis-url", redis_url, *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, " ".join(result.output.split())

    return run


@pytest.fixture
def log(redis: Redis) -> Log:
    """An empty memory."""
    return Log(redis)


Check = Callable[..., tuple[int, str]]


def test_a_sound_memory_holds(log: Log, check: Check) -> None:
    """It says of what, of how much, and how near it came."""
    log.add(0, BLACK, l2=0.5)
    log.add(0, GREY, l2=0.25, outcome="clipped")  # overlaps one of its own label
    log.add(1, WHITE, l2=0.25)
    log.add(2, CORNER, l2=0.125, outcome="relabelled")
    status, words = check()
    assert status == 0
    assert f"holds memory 'default' of model abababababab, epoch {EPOCH}" in words
    assert "4 regions, 5 pairs of different labels, none overlaps" in words
    assert "smallest gap 0.25 in ℓ2 (regions 0 and 2)" in words


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_gap_of_one_unit_in_the_last_place_is_one(log: Log, check: Check, norm: str) -> None:
    """One more unit, and the balls touch; touching is overlap, since the balls are closed."""
    log.add(0, BLACK, **{norm: 0.5})
    log.add(1, WHITE, **{norm: BELOW})
    status, words = check()
    assert (status, "none overlaps" in words) == (0, True)
    assert f"smallest gap 5.55e-17 in ℓ{norm[1]} (regions 0 and 1)" in words


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize(("radius", "words"), [(0.5, "touch"), (ABOVE, "overlap by 1.11e-16")])
def test_regions_that_touch_or_overlap_fail(
    log: Log, check: Check, norm: str, radius: float, words: str
) -> None:
    """By one unit in the last place, too; places, labels and radii are told."""
    log.add(3, BLACK, **{norm: 0.5})
    log.add(3, BLACK, **{norm: 0.75})
    log.add(7, WHITE, **{norm: radius})
    status, said = check("--memory", "default")
    assert status == 1
    assert f"regions 0 and 2 {words} in ℓ{norm[1]}: labels 3 and 7" in said
    assert f"{norm} radii 0.5 and {radius}" in said
    assert f"regions 1 and 2 overlap by 0.25 in ℓ{norm[1]}" in said
    assert "FAILS memory 'default'" in said
    assert "2 violations in 3 regions" in said


@pytest.mark.parametrize(("radius", "status"), [(1 / 5, 1), (math.nextafter(0.2, 0), 0), (0.25, 1)])
def test_a_point_must_not_lie_in_a_region_of_another_label(
    log: Log, check: Check, radius: float, status: int
) -> None:
    """A region without a radius is its centre alone; the float nearest to 1/5 lies above it."""
    log.add(0, BLACK, l2=radius)
    log.add(1, GREY)
    assert check()[0] == status


def test_two_points_need_not_be_apart(log: Log, check: Check) -> None:
    """Unless they are one: an image has one label."""
    log.add(0, [0, 0])
    log.add(1, [0, 1])
    assert check()[0] == 0
    log.add(2, [0, 1])
    status, words = check()
    assert status == 1
    assert "regions 1 and 2 touch" in words


@pytest.mark.parametrize(
    ("l2", "l1", "status"),
    [
        (0.6, 1.0, 0),  # the balls that cover them overlap, they do not
        (0.7071, 1.0, 0),
        (0.7072, 1.0, 1),  # √½ from the corner of the diamond's side
        (0.5, 1.2928, 0),
        (0.5, 1.2929, 1),  # 2 − √½
        (1.0, 0.25, 0),
        (1.25, 0.25, 1),  # here the vertex of the diamond is nearest: √(1 + ¾²) = 1.25
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_an_l2_ball_and_an_l1_ball(
    log: Log, check: Check, l2: float, l1: float, status: int, swapped: bool
) -> None:
    """They are apart where no point is in both, not only where balls round them are."""
    regions = [(0, BLACK, l2, 0.0), (1, CORNER, 0.0, l1)]
    for region in reversed(regions) if swapped else regions:
        log.add(*region)
    assert check()[0] == status


def test_unions_overlap_if_any_of_their_balls_do(log: Log, check: Check) -> None:
    """A hybrid's region has one of each."""
    log.add(0, BLACK, l2=0.25, l1=1.0)
    log.add(1, CORNER, l2=0.25, l1=0.875)
    assert check()[0] == 0
    log.add(1, [255, 254], l2=0.75, l1=0.875)
    status, words = check()
    assert status == 1
    assert "regions 0 and 2 overlap by" in words
    assert "1 violation in 3 regions" in words


def test_a_changed_record_breaks_the_chain(log: Log, check: Check, redis: Redis) -> None:
    """A radius that was made smaller harms no other region, and is found all the same."""
    log.add(0, BLACK, l2=0.5)
    log.add(1, WHITE, l2=0.25)
    redis.lset(log.log_key, 0, log.records[0].replace(b"0.5", b"0.4"))
    status, words = check()
    assert status == 1
    assert "the chain over the records is" in words
    assert f"got '{log.head}'" in words


def test_a_lost_or_added_record_breaks_the_chain(log: Log, check: Check, redis: Redis) -> None:
    """Where the chain fits an earlier state, that is said."""
    log.add(0, BLACK, l2=0.25)
    log.add(1, WHITE, l2=0.25)
    redis.rpush(log.log_key, log.records[0].replace(b"default0", b"default5"))
    assert "the chain is that of the first 2 records, and there are 3" in check()[1]
    redis.ltrim(log.log_key, 0, 0)
    assert "the chain over the records is" in check()[1]
    redis.hdel(log.head_key, "head")
    assert "the chain is that of the first 0 records, and there are 1" in check()[1]
    redis.delete(log.head_key)
    status, words = check()
    assert status == 1
    assert "there is no epoch, and 1 regions" in words
    redis.delete(log.log_key)
    assert check()[0] == 0  # centres alone promise nothing


def test_a_missing_or_changed_centre_is_found(log: Log, check: Check, redis: Redis) -> None:
    """The others are compared all the same."""
    first = log.add(0, BLACK, l2=0.5)
    log.add(0, BLACK, l2=0.25)
    log.add(1, WHITE, l2=0.25)
    log.add(2, CORNER, l2=0.8)
    redis.hset(log.centers_key, first.image_digest, bytes([0, 1]))
    status, words = check()
    assert status == 1
    assert f"region 0: its centre is not the image {first.image_digest}" in words
    assert "region 1: its centre is not" in words
    assert "regions 2 and 3 overlap" in words
    redis.hdel(log.centers_key, first.image_digest)
    assert f"region 0: its centre is missing, image {first.image_digest}" in check()[1]
    redis.delete(log.centers_key)
    assert "4 violations" in check()[1]


def test_a_centre_has_the_shape_of_the_others(log: Log, check: Check, redis: Redis) -> None:
    """The same bytes in another shape are another image, and none of this model."""
    other = pixel_digest(bytes(CORNER), 2, 1, 1)
    log.add(0, BLACK, l2=0.25)
    log.add(1, CORNER, l2=0.25, image_digest=other)
    assert f"region 1: its centre is not the image {other}" in check()[1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label": -1}, "'label' must be >= 0, got -1"),
        ({"l2": -0.5}, "'l2' must be finite and >= 0, got -0.5"),
        ({"outcome": "repeated"}, "'outcome' must be one of added, clipped, relabelled, got repeated"),
        ({"certificate_id": "default" + 24 * "0"}, "regions 0 and 1 are of one certificate, default0000"),
    ],
)
def test_a_record_says_what_it_may(log: Log, check: Check, fields: dict[str, object], words: str) -> None:
    """The field, the rule and the value; or whose certificate was stored twice."""
    log.add(0, BLACK, l2=0.25)
    log.add(**({"label": 1, "pixels": WHITE} | fields))  # type: ignore[arg-type]
    status, said = check()
    assert (status, words in said) == (1, True), said


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"", "its text is wrong"),
        (b"\xff", "its text is wrong"),
        (b"{}", "certificate_id is wrong"),
        (b'"l2": Infinity', ""),
        (b'"l1": NaN', ""),
    ],
)
def test_a_record_that_cannot_be_read(log: Log, check: Check, record: bytes, words: str) -> None:
    """A radius that is no number included."""
    log.add(0, BLACK, l2=0.25)
    if b":" in record:
        name = record[1:3]
        record = log.records[0].replace(b'"' + name + b'":0.' + (b"25" if name == b"l2" else b"0"), record)
    log.append(record)
    status, said = check()
    assert (status, words in said) == (1, True), said
    assert "region 1: " in said


def test_nothing_stored_is_nothing_wrong(check: Check, redis: Redis) -> None:
    """Neither without any memory, nor in one that is empty."""
    status, words = check()
    assert (status, "no memory holds a region yet" in words) == (0, True)
    Log(redis)
    status, words = check()
    assert status == 0
    assert "0 regions, 0 pairs of different labels, none overlaps; chain and centres are right" in words
    redis.hset(Log(redis).head_key, "head", "a" * 40)
    assert check()[0] == 1


def test_memories_are_checked_one_by_one(check: Check, redis: Redis) -> None:
    """What overlaps across them does not matter; one that fails does not hide the others."""
    Log(redis, "first").add(0, BLACK, l2=0.5)
    second = Log(redis, "second", digest="cd" * 32)
    second.add(1, BLACK, l2=0.5)
    second.add(2, BLACK, l2=0.5)
    status, words = check()
    assert status == 1
    assert "holds memory 'first' of model abababababab" in words
    assert "FAILS memory 'second' of model cdcdcdcdcdcd" in words
    assert check("--memory", "first")[0] == check("--model-digest", "abab")[0] == 0
    assert check("--memory", "second")[0] == 1
    status, words = check("--memory", "first", "--model-digest", "cd")
    assert status == 1
    assert "no memory cd/first; known memories: abababababab/first, cdcdcdcdcdcd/second" in words


def test_many_regions_are_read_in_parts(log: Log, check: Check, redis: Redis) -> None:
    """More than are read, or compared, at a time; the one overlap of two million pairs is found."""
    images = [[place // 256, place % 256] for place in range(2100)]
    for place, image in enumerate(images):
        log.add(place % 7, image, l2=1 / 1024)
    status, words = check()
    assert status == 0
    assert "2,100 regions, 1,890,000 pairs of different labels, none overlaps" in words
    log.add(99, images[1500], l2=1 / 1024)
    status, words = check()
    assert status == 1
    assert f"regions 1500 and 2100 overlap by {2 / 1024:.3g} in ℓ2" in words
    assert "1 violation in 2,101 regions" in words
