"""Polling: the votes on one image, batch by batch, recorded so that they can go on after a crash."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from smoothing.bounds import Counts
from smoothing.certification import Segment, Segments, Votes, stream_name
from smoothing.errors import require
from smoothing.randomness import generator_for
from smoothing.schedule import Look

Sample = Callable[[int, int, torch.Generator], Counts]
"""``sample(n, batch_size, generator)``: votes per class of n noisy copies of the image, or `SmallerBatch`."""

OpenStream = Callable[[str], torch.Generator]


class SmallerBatch(Exception):
    """The device had no memory for a batch. None of the votes that were asked for counts."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self.batch_size = batch_size


class Tally:
    """Votes that are counted together, and the random streams that they are drawn from.

    Votes carried over from an earlier call keep their segments; the first new one opens a stream that no
    segment has used, so that all votes are independent draws. So does the first vote in batches of another
    size: a segment can be drawn again from its stream and size.
    """

    def __init__(
        self, name: str, counts: Counts, segments: Segments, sample: Sample, open_stream: OpenStream
    ) -> None:
        self.counts = counts
        self.segments = segments
        self._name = name
        self._sample = sample
        self._open_stream = open_stream
        self._generator: torch.Generator | None = None

    @property
    def n(self) -> int:
        """Votes so far."""
        return int(self.counts.sum())

    def discard(self) -> None:
        """Forget the votes, but not that their streams were used."""
        self.counts = np.zeros_like(self.counts)
        self._generator = None

    def draw(self, n: int, batch_size: int) -> None:
        """Add ``n`` votes, in batches of at most ``batch_size``.

        Raises:
            SmallerBatch: Nothing was added.
        """
        if self._generator is None or not self.segments or self.segments[-1].batch_size != batch_size:
            segment = Segment(stream_name(self._name, len(self.segments)), n, batch_size)
            self._generator = self._open_stream(segment.stream)
            segments = (*self.segments, segment)
        else:
            last = self.segments[-1]
            segments = (*self.segments[:-1], replace(last, n=last.n + n))
        self.counts = self.counts + self._sample(n, batch_size, self._generator)
        self.segments = segments


class Poll:
    """Selection and estimation votes on one image, drawn up to each look and recorded after each batch.

    Args:
        sample: Draws and counts votes, in batches of at most ``batch_size``.
        votes: Where to go on from. Incomplete selection votes are discarded and drawn anew.
        n0: Selection votes.
        batch_size: Most images in one call of the base classifier.
        seed: Of all streams.
        device: Where the noise is drawn.
        stop: Asked after each batch; true ends the drawing, but not before the first look.
        on_batch: Given the number of votes so far, selection and estimation together, after each batch.
        on_votes: Given the record after each batch.
    """

    def __init__(
        self,
        sample: Sample,
        votes: Votes,
        n0: int,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        stop: Callable[[], bool] | None,
        on_batch: Callable[[int], None] | None,
        on_votes: Callable[[Votes], None] | None,
    ) -> None:
        require(batch_size >= 1, "batch_size", "be >= 1", batch_size)

        def open_stream(name: str) -> torch.Generator:
            return generator_for(seed, name, device=device)

        complete = int(votes.selection_counts.sum()) == n0
        selected = votes.selection_counts if complete else np.zeros_like(votes.selection_counts)
        self._selection = Tally("selection", selected, votes.selection_segments, sample, open_stream)
        self._estimation = Tally("estimation", votes.counts, votes.segments, sample, open_stream)
        self._looked = votes
        self._n0 = n0
        self._batch_size = batch_size
        self._stop = stop
        self._on_batch = on_batch
        self._on_votes = on_votes

    @property
    def best_look(self) -> tuple[Counts, Look] | None:
        """The best look so far and the estimation votes at it; None before the first."""
        counts, alpha = self._looked.best_counts, self._looked.best_look_alpha
        return None if counts is None or alpha is None else (counts, Look(int(counts.sum()), alpha))

    @property
    def n(self) -> int:
        """Estimation votes so far."""
        return self._estimation.n

    @property
    def selection_segments(self) -> Segments:
        """How the selection votes that count were drawn."""
        return self._selection.segments[-1:]

    @property
    def segments(self) -> Segments:
        """How the estimation votes were drawn."""
        return self._estimation.segments

    def select(self) -> Counts:
        """The selection votes per class ``(k,)``, complete."""
        self._draw(self._selection, self._n0, may_stop=False)
        return self._selection.counts

    def estimate(self, n: int) -> Counts:
        """The first ``n`` estimation votes per class ``(k,)``; after the first look fewer, if stopped."""
        self._draw(self._estimation, n, may_stop=self._looked.last_look > 0)
        return self._estimation.counts

    def take_look(self, best_counts: Counts, best_look_alpha: float) -> None:
        """Note that a look was taken at all votes so far, and which one is the best by now."""
        self._looked = replace(
            self._record(), last_look=self.n, best_counts=best_counts, best_look_alpha=best_look_alpha
        )

    def stopped(self) -> bool:
        """Whether to stop, asked of the caller."""
        return self._stop is not None and self._stop()

    def _draw(self, tally: Tally, n: int, *, may_stop: bool) -> None:
        """Draw until there are ``n`` votes: in one go unless someone wants to know between the batches."""
        between = any(caller is not None for caller in (self._stop, self._on_batch, self._on_votes))
        while (left := n - tally.n) > 0:
            try:
                tally.draw(min(left, self._batch_size) if between else left, self._batch_size)
            except SmallerBatch as smaller:
                self._batch_size = smaller.batch_size
                if tally is self._selection:  # it is one segment, or it starts over
                    tally.discard()
                continue
            if self._on_batch is not None:
                self._on_batch(self._selection.n + self._estimation.n)
            if self._on_votes is not None:
                self._on_votes(self._record())
            if may_stop and tally.n < n and self.stopped():
                break

    def _record(self) -> Votes:
        return replace(
            self._looked,
            selection_counts=self._selection.counts,
            selection_segments=self._selection.segments,
            counts=self._estimation.counts,
            segments=self._estimation.segments,
        )


def no_votes(num_classes: int) -> Votes:
    """The record before the first vote.

    >>> no_votes(3).counts.tolist()
    [0, 0, 0]
    """
    require(num_classes >= 2, "num_classes", "be >= 2", num_classes)
    return Votes(np.zeros(num_classes, dtype=np.int64), np.zeros(num_classes, dtype=np.int64))


def require_same_arguments(votes: Votes, num_classes: int, n0: int, looks: Sequence[Look]) -> None:
    """Refuse votes that were not drawn for these classes, selection votes and looks.

    With other looks the two calls together might take more looks than alpha pays for.

    Raises:
        InvalidParameter: ``votes`` do not fit.
    """
    require(len(votes.counts) == num_classes, "resume", f"be of {num_classes} classes", len(votes.counts))
    selected = int(votes.selection_counts.sum())
    require(selected <= n0, "resume", f"have at most n0 = {n0} selection votes", selected)
    require(selected == n0 or votes.n == 0, "resume", f"have n0 = {n0} selection votes first", selected)
    require(votes.n <= looks[-1].n, "resume", f"have at most n = {looks[-1].n} votes", votes.n)
    # Votes are recorded before a look at all of them is taken, so that one is still due.
    passed = [look.n for look in looks if look.n < votes.n]
    due = passed[-1] if passed else 0
    require(votes.last_look == due, "resume", f"have the last look at {due} votes", votes.last_look)
    if votes.best_counts is not None:
        best = (int(votes.best_counts.sum()), votes.best_look_alpha)
        require(
            best in [(look.n, look.alpha) for look in looks], "resume", "have its best look in looks", best
        )
