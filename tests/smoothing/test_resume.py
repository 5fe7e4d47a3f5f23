"""Votes that survive a crash, and batches that outgrow the memory: what is recorded can be drawn again."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from smoothing import (
    BOUNDS,
    Certification,
    Gaussian,
    InvalidParameter,
    Look,
    Looks,
    Observer,
    certify,
    count_classes,
    look_schedule,
    noisy_copies,
)
from smoothing.bounds import Counts
from smoothing.votes import Segment, Votes

SIGMA = 0.5


def certificate(classifier: Any, image: Tensor, **changes: Any) -> Certification:
    """A certificate with everything at a small ordinary value unless it is changed."""
    arguments: dict[str, Any] = {"n": 1000, "batch_size": 500, "seed": 1, **changes}
    return certify(classifier, image, Gaussian(SIGMA), **arguments)


class Crash(Exception):
    """The process dies."""


class Store(Observer):
    """Keeps every record, and crashes after so many of them; hands the rest of what it hears on."""

    def __init__(self, records: int | None = None, hearing: Observer | None = None) -> None:
        self.kept: list[Votes] = []
        self._records = records
        self._hearing = hearing or Observer()

    def on_votes(self, votes: Votes) -> None:
        self.kept.append(votes)
        if len(self.kept) == self._records:
            raise Crash

    def on_progress(self, completed: int, planned: int) -> None:
        self._hearing.on_progress(completed, planned)

    def on_look(self, best: Certification) -> None:
        self._hearing.on_look(best)


class Hearing(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.looks: list[int] = []

    def on_progress(self, completed: int, planned: int) -> None:
        self.done.append(completed)

    def on_look(self, best: Certification) -> None:
        self.looks.append(best.n_drawn)


def with_crashes(
    classifier: Any, image: Tensor, crashes: Sequence[int], hearing: Observer | None = None, **changes: Any
) -> Certification:
    """A certificate that crashes after so many records, is resumed from the last, and so on."""
    record: dict[str, Any] | None = None
    for records in (*crashes, None):
        resume = None if record is None else Votes.from_json(json.loads(json.dumps(record)))
        store = Store(records, hearing)
        try:
            return certificate(classifier, image, resume=resume, observer=store, **changes)
        except Crash:
            record = store.kept[-1].to_json()
    raise AssertionError("the last attempt does not crash")


LOOKS = look_schedule(1000, 0.001)
RESUMED = {"n0": 50, "n": 1000, "batch_size": 30, "stop": Looks(LOOKS)}


def records_in_all(classifier: Any, image: Tensor) -> int:
    store = Store()
    certificate(classifier, image, observer=store, **RESUMED)
    return len(store.kept)


def test_resumes_after_a_crash_at_any_batch(stripes: Any, image: Tensor) -> None:
    """Same totals, new streams, and a certificate that its own counts bear out, wherever the crash was."""
    classifier = stripes((0.7, 0.2, 0.1), SIGMA)
    batches = records_in_all(classifier, image)
    assert batches == 2 + sum(math.ceil(n / 30) for n in np.diff([0, *(look.n for look in LOOKS)]))
    for crash in range(1, batches + 1):
        got = with_crashes(classifier, image, [crash], **RESUMED)
        assert got.n_drawn == got.counts.sum() == 1000
        assert got.selection_counts.sum() == 50
        assert got.stop_reason == "complete"
        assert Look(got.n, got.look_alpha) in LOOKS
        assert sum(segment.n for segment in got.segments) == 1000
        expected = ["estimation"] if crash <= 2 or crash == batches else ["estimation", "estimation/1"]
        assert [segment.stream for segment in got.segments] == expected
        selection = Segment("selection/1" if crash == 1 else "selection", 50, 30)
        assert got.selection_segments == (selection,)
        bounded = BOUNDS[got.bound_name](
            got.counts, got.top_class, got.look_alpha, alpha_upper=got.bound.alpha_upper
        )
        assert bounded == got.bound


def test_many_crashes_never_use_a_stream_twice(stripes: Any, image: Tensor) -> None:
    """Each resumption opens the next stream; a selection cut short is started over on another one."""
    hearing = Hearing()
    got = with_crashes(
        stripes((0.7, 0.2, 0.1), SIGMA),
        image,
        [1, 1, 2, 1, 3, 5, 1],
        hearing,
        **RESUMED,
    )
    assert got.selection_segments == (Segment("selection/2", 50, 30),)
    assert [(segment.stream, segment.n) for segment in got.segments][:3] == [
        ("estimation", 30),
        ("estimation/1", 90),
        ("estimation/2", 125),
    ]
    streams = [segment.stream for segment in got.segments]
    assert streams == ["estimation", *(f"estimation/{place}" for place in range(1, len(streams)))]
    assert got.n_drawn == 1000
    assert len(hearing.looks) == len(LOOKS)


def test_segments_say_how_to_draw_the_votes_again(stripes: Any, image: Tensor) -> None:
    """Stream by stream, batch by batch, cut at the looks: the same counts."""
    classifier = stripes((0.7, 0.2, 0.1), SIGMA)
    got = with_crashes(classifier, image, [17], **RESUMED)
    assert drawn_again(classifier, image, got).tolist() == got.counts.tolist()


def drawn_again(classifier: Any, image: Tensor, got: Certification) -> Counts:
    cuts = [look.n for look in LOOKS]
    counts, done = np.zeros(3, dtype=np.int64), 0
    for segment in got.segments:
        copies = noisy_copies(image, Gaussian(SIGMA), 1, segment.stream)
        end = done + segment.n
        for stop in [*(cut for cut in cuts if done < cut < end), end]:
            counts = counts + count_classes(
                classifier, copies, stop - done, num_classes=3, batch_size=segment.batch_size
            )
            done = stop
    return counts


def forgetful(classifier: Any, largest: Callable[[int], int]) -> Callable[[Tensor], Tensor]:
    """A classifier on a device that has memory for so many images in its first call, its second, and so on."""
    calls = 0

    def classify(images: Tensor) -> Tensor:
        nonlocal calls
        calls += len(images) > 1  # one image alone is asked for the number of classes
        if len(images) > largest(calls):
            raise torch.OutOfMemoryError("CUDA out of memory")
        answer: Tensor = classifier(images)
        return answer

    return classify


@pytest.mark.parametrize("watched", [False, True])
def test_segments_show_where_the_batch_was_halved(stripes: Any, image: Tensor, watched: bool) -> None:
    """Estimation goes on with half the size on a new stream, and can be drawn again all the same."""
    classifier = stripes((0.7, 0.2, 0.1), SIGMA)
    hearing = Hearing()
    got = certificate(
        forgetful(classifier, lambda call: 30 if call < 12 else 10),
        image,
        observer=hearing if watched else None,
        **RESUMED,
    )
    assert got.selection_segments == (Segment("selection", 50, 30),)
    first, second = got.segments[0], got.segments[-1]
    assert (first.stream, first.batch_size) == ("estimation", 30)
    assert second.batch_size <= 10
    assert sum(segment.n for segment in got.segments) == got.n_drawn == got.counts.sum() == 1000
    assert drawn_again(classifier, image, got).tolist() == got.counts.tolist()
    assert hearing.done == sorted(set(hearing.done))
    assert hearing.done[-1:] == ([1050] if watched else [])


def test_selection_starts_over_when_the_batch_was_halved(stripes: Any, image: Tensor) -> None:
    """One stream and one size for the votes that choose the class."""
    got = certificate(
        forgetful(stripes((0.7, 0.2, 0.1), SIGMA), lambda call: 30 if call < 2 else 20),
        image,
        observer=Observer(),
        **{**RESUMED, "n0": 60},
    )
    assert got.selection_segments == (Segment("selection/1", 60, 15),)
    assert got.selection_counts.sum() == 60
    assert {segment.batch_size for segment in got.segments} == {15}


def test_best_look_survives_a_crash(image: Tensor) -> None:
    """An early lead is kept when the votes after the crash disappoint; its look is not taken again."""
    label = 0

    def turning(images: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.full((len(images),), label), 2).double()

    looks = (Look(100, 0.0003), Look(200, 0.0003), Look(400, 0.0003))
    arguments = {"n": 400, "stop": Looks(looks), "batch_size": 100, "alpha": 0.01}
    store = Store(3)  # the selection votes and two batches
    with pytest.raises(Crash):
        certificate(turning, image, observer=store, **arguments)
    heard = store.kept
    assert (heard[-1].n, heard[-1].last_look, heard[-1].best_look_alpha) == (200, 100, 0.0003)
    label = 1
    hearing = Hearing()
    got = certificate(turning, image, resume=heard[-1], observer=hearing, **arguments)
    assert hearing.looks == [200, 400]
    assert (got.counts.tolist(), got.n_drawn, got.n) == ([200, 0], 400, 200)
    assert not got.abstained


def test_resuming_counts_progress_on(stripes: Any, image: Tensor) -> None:
    """Votes that are there already count as done."""
    hearing = Hearing()
    with_crashes(stripes((0.7, 0.2, 0.1), SIGMA), image, [10], hearing, **RESUMED)
    assert hearing.done == sorted(set(hearing.done))
    assert hearing.done[-1] == 1050


def test_resumed_certificate_rarely_exceeds_the_distance_to_the_plane(half_space: Any, image: Tensor) -> None:
    """One in 20 may fail at alpha = 0.05, with crashes or without; a crash at any time, by another die."""
    classifier, trials, wrong = half_space(0.3), 500, 0
    rng = np.random.default_rng(3)
    for seed in range(trials):
        got = with_crashes(
            classifier,
            image,
            [int(rng.integers(2, 6))],
            n0=20,
            n=1000,
            alpha=0.05,
            stop=Looks(),
            batch_size=250,
            seed=seed,
        )
        wrong += not got.abstained and (got.top_class != 0 or got.radius.l2 > 0.3)
    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (0.7, 0.3)}, "'resume' must be of 2 classes, got 3"),
        ({"n0": 49}, "'resume' must have at most n0 = 49 selection votes, got 50"),
        ({"n0": 51}, "'resume' must have n0 = 51 selection votes first, got 50"),
        ({"n": 200, "stop": None}, "'resume' must have at most n = 200 votes, got"),
        ({"stop": None}, "'resume' must have the last look at 0 votes, got 250"),
        ({"stop": Looks(look_schedule(1000, 0.0009))}, "'resume' must have its best look in looks, got"),
    ],
)
def test_votes_of_other_arguments_are_not_resumed(
    stripes: Any, image: Tensor, changes: dict[str, Any], message: str
) -> None:
    """More looks than alpha pays for, or votes for something else."""
    store = Store()
    certificate(stripes((0.7, 0.2, 0.1), SIGMA), image, observer=store, **RESUMED)
    votes = next(votes for votes in store.kept if votes.n > 300)
    arguments = {"classes": (0.7, 0.2, 0.1), **RESUMED, **changes}
    with pytest.raises(InvalidParameter, match=message):
        certificate(stripes(arguments.pop("classes"), SIGMA), image, resume=votes, **arguments)


GOOD = {
    "selection_counts": [10, 0],
    "counts": [30, 2],
    "selection_segments": [{"stream": "selection", "n": 10, "batch_size": 10}],
    "segments": [
        {"stream": "estimation", "n": 12, "batch_size": 10},
        {"stream": "estimation/1", "n": 20, "batch_size": 5},
    ],
    "last_look": 20,
    "best_counts": [19, 1],
    "best_look_alpha": 0.001,
}


def test_record_survives_storing() -> None:
    """Plain numbers, strings, lists and dicts, there and back."""
    assert Votes.from_json(json.loads(json.dumps(GOOD))).to_json() == GOOD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": [30, 1]}, "'segments' must add up to the 31 votes counted, got 32"),
        ({"counts": [33, -1]}, "'counts' must be a list of integers >= 0"),
        ({"counts": [30.0, 2]}, "'counts' must be a list of integers >= 0"),
        ({"counts": "30"}, "'counts' must be a list of integers >= 0, got '30'"),
        ({"counts": [30, 2, 0]}, "'counts' must be of 2 classes, got 3"),
        ({"counts": [2**80, 2]}, "'counts' must be a list of integers"),
        ({"selection_counts": [10]}, "'selection_counts' must have shape"),
        ({"selection_counts": [9, 0]}, "'selection_segments' must add up to the 9 votes counted, got 10"),
        ({"selection_segments": None}, "'selection_segments' must be a list, got None"),
        ({"segments": GOOD["segments"][::-1]}, r"'segments' must have the streams \['estimation', 'est"),
        ({"segments": [{"stream": "estimation", "n": 32}]}, "'segments' must have"),
        ({"segments": [{**GOOD["segments"][0], "n": True}]}, "'n' must be an integer >= 1, got True"),
        ({"last_look": 33}, "'last_look' must be at most the 32 votes, got 33"),
        ({"last_look": 0}, "'best_counts' must come with a look"),
        ({"last_look": "20"}, "'last_look' must be >= 0, got '20'"),
        ({"best_counts": None}, "'best_counts' must come with a look"),
        ({"best_counts": [17, 3]}, r"'best_counts' must be among counts, got \[17, 3\]"),
        ({"best_counts": [20, 1]}, "'best_counts' must be of a look taken, got 21"),
        ({"best_look_alpha": None}, "'best_look_alpha' must come with a look"),
        ({"best_look_alpha": 2}, r"'best_look_alpha' must be in \(0, 1\), got 2"),
        ({"more": 1}, "'votes' must have the fields selection_counts, counts, "),
    ],
)
def test_broken_records_are_refused(changes: dict[str, Any], message: str) -> None:
    """By field, rule and value, before anything rests on them."""
    with pytest.raises(InvalidParameter, match=message):
        Votes.from_json({**GOOD, **changes})
