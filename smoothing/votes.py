"""The record of votes that a certificate rests on, and can be continued from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smoothing.bounds import Counts
from smoothing.errors import require


@dataclass(frozen=True)
class Segment:
    """Votes drawn in one go from one random stream, and how to draw them again.

    They come in batches of ``batch_size``, with a smaller batch before each look (at its number of votes,
    those of earlier segments included), since the batch sizes have a part in what a generator draws.

    Attributes:
        stream: Name of the random stream of the certificate's seed: ``"estimation"``, ``"estimation/1"``, …
        n: Votes drawn from it.
        batch_size: Most images in one call of the base classifier.
    """

    stream: str
    n: int
    batch_size: int

    def __post_init__(self) -> None:
        require(isinstance(self.stream, str) and bool(self.stream), "stream", "be a name", self.stream)
        for name, value in (("n", self.n), ("batch_size", self.batch_size)):
            require(_is_int(value) and value >= 1, name, "be an integer >= 1", value)


Segments = tuple[Segment, ...]


@dataclass(frozen=True, eq=False)
class Votes:
    """All votes on one image so far: enough for ``certify(..., resume=votes)`` to continue after a crash.

    Attributes:
        selection_counts: Selection votes per class ``(k,)``.
        counts: Estimation votes per class ``(k,)``.
        selection_segments: How selection votes were drawn. Those of the last segment are
            ``selection_counts``; earlier ones were cut short and discarded.
        segments: How the estimation votes were drawn, all of them.
        last_look: Votes at the last look that was taken; 0 before the first.
        best_counts: Estimation votes per class ``(k,)`` at the best look so far; None before the first.
        best_look_alpha: Failure probability of that look.

    Raises:
        InvalidParameter: The parts contradict each other.

    >>> votes = Votes(
    ...     selection_counts=np.array([9, 1]), selection_segments=(Segment("selection", 10, 10),),
    ...     counts=np.array([30, 2]), segments=(Segment("estimation", 32, 10),),
    ... )
    >>> votes.n, Votes.from_json(votes.to_json()).counts.tolist()
    (32, [30, 2])
    """

    selection_counts: Counts
    counts: Counts
    selection_segments: Segments = ()
    segments: Segments = ()
    last_look: int = 0
    best_counts: Counts | None = None
    best_look_alpha: float | None = None

    def __post_init__(self) -> None:
        _require_counts("selection_counts", self.selection_counts)
        _require_counts("counts", self.counts, like=self.selection_counts)
        _require_streams("selection_segments", self.selection_segments, "selection")
        _require_streams("segments", self.segments, "estimation")
        selected = sum(segment.n for segment in self.selection_segments[-1:])
        _require_sum("selection_segments", selected, self.selection_counts)
        _require_sum("segments", sum(segment.n for segment in self.segments), self.counts)
        require(_is_int(self.last_look) and self.last_look >= 0, "last_look", "be >= 0", self.last_look)
        require(self.last_look <= self.n, "last_look", f"be at most the {self.n} votes", self.last_look)
        none_yet = self.last_look == 0
        require(none_yet == (self.best_counts is None), "best_counts", "come with a look", self.best_counts)
        require(none_yet == (self.best_look_alpha is None), "best_look_alpha", "come with a look", None)
        if self.best_counts is not None:
            _require_counts("best_counts", self.best_counts, like=self.counts)
            inside = bool((self.best_counts <= self.counts).all())
            require(inside, "best_counts", "be among counts", self.best_counts.tolist())
            best_n = int(self.best_counts.sum())
            require(1 <= best_n <= self.last_look, "best_counts", "be of a look taken", best_n)

    @property
    def n(self) -> int:
        """Estimation votes so far."""
        return int(self.counts.sum())

    def to_json(self) -> dict[str, Any]:
        """The record as numbers, strings, lists and dicts, to be stored; ``from_json`` reads it."""
        return {
            "selection_counts": self.selection_counts.tolist(),
            "counts": self.counts.tolist(),
            "selection_segments": [vars(segment).copy() for segment in self.selection_segments],
            "segments": [vars(segment).copy() for segment in self.segments],
            "last_look": self.last_look,
            "best_counts": None if self.best_counts is None else self.best_counts.tolist(),
            "best_look_alpha": self.best_look_alpha,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Votes":
        """Read what ``to_json`` wrote.

        Raises:
            InvalidParameter: Something is missing, of another type, or contradicts the rest.
        """
        require(isinstance(record, Mapping), "votes", "be a mapping", record)
        names = list(cls.__dataclass_fields__)
        require(set(record) == set(names), "votes", f"have the fields {', '.join(names)}", list(record))
        best, best_alpha = record["best_counts"], record["best_look_alpha"]
        is_alpha = best_alpha is None or (isinstance(best_alpha, float) and 0.0 < best_alpha < 1.0)
        require(is_alpha, "best_look_alpha", "be in (0, 1)", best_alpha)
        return cls(
            selection_counts=_read_counts("selection_counts", record["selection_counts"]),
            counts=_read_counts("counts", record["counts"]),
            selection_segments=_read_segments("selection_segments", record["selection_segments"]),
            segments=_read_segments("segments", record["segments"]),
            last_look=record["last_look"],
            best_counts=None if best is None else _read_counts("best_counts", best),
            best_look_alpha=best_alpha,
        )


def stream_name(name: str, segments: int) -> str:
    """Name of the stream for the segment after this many: each is used once.

    >>> stream_name("estimation", 0), stream_name("estimation", 2)
    ('estimation', 'estimation/2')
    """
    return name if segments == 0 else f"{name}/{segments}"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require_counts(name: str, counts: Counts, like: Counts | None = None) -> None:
    require(counts.ndim == 1 and len(counts) >= 2, name, "have shape (k,), k >= 2", counts.shape)
    require(counts.dtype == np.int64, name, "be int64", counts.dtype)
    require(bool(counts.min() >= 0), name, "be >= 0", int(counts.min()))
    if like is not None:
        require(len(counts) == len(like), name, f"be of {len(like)} classes", len(counts))


def _require_streams(name: str, segments: Segments, stream: str) -> None:
    streams = [segment.stream for segment in segments]
    expected = [stream_name(stream, place) for place in range(len(segments))]
    require(streams == expected, name, f"have the streams {expected}", streams)


def _require_sum(name: str, votes: int, counts: Counts) -> None:
    require(votes == counts.sum(), name, f"add up to the {counts.sum()} votes counted", votes)


def _read_counts(name: str, value: Any) -> Counts:
    valid = isinstance(value, list) and all(_is_int(each) and 0 <= each < 2**40 for each in value)
    require(valid, name, "be a list of integers >= 0", value)
    return np.array(value, dtype=np.int64)


def _read_segments(name: str, value: Any) -> Segments:
    require(isinstance(value, list), name, "be a list", value)
    fields = set(Segment.__dataclass_fields__)
    for each in value:
        require(isinstance(each, Mapping) and set(each) == fields, name, f"have {sorted(fields)}", each)
    return tuple(Segment(**each) for each in value)
