"""Polling: the votes on one image, batch by batch, recorded so that a crash loses none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from smoothing.bounds import Counts
from smoothing.certification import Certification
from smoothing.copies import NoisyCopies, is_exact, noisy_copies
from smoothing.errors import require, require_count
from smoothing.noises.base import Noise
from smoothing.observer import Observer
from smoothing.randomness import draw_seed, require_seed
from smoothing.sampling import BaseClassifier, count_classes, count_of_classes
from smoothing.stopping import Look, StopRules
from smoothing.votes import Segment, Segments, Votes, stream_name

Sample = Callable[..., Counts]
"""``sample(copies, n, first=…, batch_size=…)``: votes per class of n noisy copies, or `SmallerBatch`."""

OpenStream = Callable[[str], NoisyCopies]


class SmallerBatch(Exception):
    """The device had no memory for a batch. None of the votes that were asked for counts."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self.batch_size = batch_size


class Tally:
    """Votes that are counted together, and the random streams that they are drawn from.

    Exact copies have numbers: all votes are of one stream, whatever the batches and the calls.

    Copies in floating point are drawn in turn. Votes carried over from an earlier call keep their segments;
    the first new one opens a stream that no segment has used, so that all votes are independent draws. So
    does the first vote in batches of another size: a segment can be drawn again from its stream and size.
    """

    def __init__(
        self,
        name: str,
        counts: Counts,
        segments: Segments,
        sample: Sample,
        open_stream: OpenStream,
        *,
        exact: bool,
    ) -> None:
        self.counts = counts
        self.segments = segments
        self._name = name
        self._sample = sample
        self._open_stream = open_stream
        self._exact = exact
        self._copies: NoisyCopies | None = None
        self._opened: Segment | None = None  # what `_copies` are, with the votes of the last draw

    @property
    def n(self) -> int:
        """Votes so far."""
        return int(self.counts.sum())

    def discard(self) -> None:
        """Forget the votes, but not that their streams were used."""
        self.counts = np.zeros_like(self.counts)
        self._opened = None

    def draw(self, n: int, batch_size: int) -> None:
        """Add ``n`` votes, in batches of at most ``batch_size``.

        Raises:
            SmallerBatch: Nothing was added.
        """
        segments, goes_on = self._with_votes(n, batch_size)
        if self._copies is None or not goes_on:
            self._copies = self._open_stream(segments[-1].stream)
        self._opened = segments[-1]
        sampled = self._sample(self._copies, n, first=self.n, batch_size=batch_size)
        self.counts, self.segments = self.counts + sampled, segments

    def _with_votes(self, n: int, batch_size: int) -> tuple[Segments, bool]:
        """The segments with ``n`` votes more, and whether an open stream gives them."""
        if self._exact:
            return (Segment(self._name, self.n + n, batch_size),), True
        # The batch size decides what a generator draws: votes of another size need a stream of their own.
        if self.segments and self._opened == self.segments[-1] and self._opened.batch_size == batch_size:
            return (*self.segments[:-1], replace(self._opened, n=self._opened.n + n)), True
        return (*self.segments, Segment(stream_name(self._name, len(self.segments)), n, batch_size)), False


class Poll:
    """Selection and estimation votes on one image, drawn up to each look and reported after each batch.

    Args:
        base_classifier: f, which is asked.
        image: ``(c, h, w)``; noise is drawn on its device, exactly if the image is bytes.
        noise: What is added to it.
        n0: Selection votes.
        rules: The looks, and the deadline that may end drawing after the first of them.
        batch_size: Most images in one call of f.
        seed: Of all streams; None draws one.
        resume: Votes to continue from; None: there are none yet. Incomplete selection votes are drawn anew.
        observer: Hears of votes, progress and looks.

    Raises:
        InvalidParameter: An argument is out of range, or the votes are not about these arguments.
    """

    def __init__(
        self,
        base_classifier: BaseClassifier,
        image: Tensor,
        noise: Noise,
        n0: int,
        rules: StopRules,
        batch_size: int,
        seed: int | None,
        resume: Votes | None,
        observer: Observer | None,
    ) -> None:
        require_count(batch_size, "batch_size")
        self.seed = draw_seed() if seed is None else seed
        require_seed(self.seed)
        num_classes = count_of_classes(base_classifier, image)
        none = np.zeros(num_classes, dtype=np.int64)
        votes = Votes(none, none) if resume is None else resume
        require_same_arguments(votes, num_classes, n0, rules.looks)
        # A part of the selection votes must not decide whether the others are drawn: all or none count.
        complete = int(votes.selection_counts.sum()) == n0
        selected = votes.selection_counts if complete else none
        sample = partial(
            count_classes,
            base_classifier,
            num_classes=num_classes,
            on_smaller_batch=_refuse,
        )
        exact = is_exact(image)
        tally = partial(
            Tally, sample=sample, open_stream=partial(noisy_copies, image, noise, self.seed), exact=exact
        )
        self._selection = tally("selection", selected, votes.selection_segments)
        self._estimation = tally("estimation", votes.counts, votes.segments)
        self._looked = votes
        self._n0 = n0
        self._rules = rules
        self._batch_size = batch_size
        self._observer = observer

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
    def last_look(self) -> int:
        """Votes at the last look that was taken; 0 before the first."""
        return self._looked.last_look

    @property
    def segments(self) -> Segments:
        """How the estimation votes were drawn."""
        return self._estimation.segments

    @property
    def selection_segments(self) -> Segments:
        """How the selection votes were drawn."""
        return self._selection.segments[-1:]

    def select(self) -> Counts:
        """The selection votes per class ``(k,)``, complete."""
        self._draw(self._selection, self._n0, may_stop=False)
        return self._selection.counts

    def estimate(self, n: int) -> Counts:
        """The first ``n`` estimation votes per class ``(k,)``; after the first look fewer, if stopped."""
        self._draw(self._estimation, n, may_stop=self._looked.last_look > 0)
        return self._estimation.counts

    def take_look(self, best: Certification) -> None:
        """Note and report that a look was taken at all votes so far, and what is the best by now."""
        self._looked = replace(
            self._record(), last_look=self.n, best_counts=best.counts, best_look_alpha=best.look_alpha
        )
        if self._observer is not None:
            self._observer.on_look(best)

    def _draw(self, tally: Tally, n: int, *, may_stop: bool) -> None:
        """Draw until there are ``n`` votes: in one go unless something is to be done between the batches."""
        in_batches = self._observer is not None or self._rules.time_is_up is not None
        while (left := n - tally.n) > 0:
            try:
                tally.draw(min(left, self._batch_size) if in_batches else left, self._batch_size)
            except SmallerBatch as smaller:
                self._batch_size = smaller.batch_size
                if tally is self._selection:
                    # A certificate states one segment for its selection votes: they start over in this size.
                    tally.discard()
                continue
            if self._observer is not None:
                completed = self._selection.n + self._estimation.n
                self._observer.on_progress(completed, self._n0 + self._rules.looks[-1].n)
                self._observer.on_votes(self._record())
            # Stopping between looks costs the votes since the last one; at a look, `certify` asks itself.
            if may_stop and tally.n < n and self._rules.stopped:
                break

    def _record(self) -> Votes:
        return replace(
            self._looked,
            selection_counts=self._selection.counts,
            selection_segments=self._selection.segments,
            counts=self._estimation.counts,
            segments=self._estimation.segments,
        )


def _refuse(batch_size: int) -> None:
    """Batches that are too large for the device are the poll's to shrink."""
    raise SmallerBatch(batch_size)


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
