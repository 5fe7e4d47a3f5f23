"""Certify: the class of the smoothed classifier at an image, and radii within which it cannot change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Literal

import numpy as np
from torch import Tensor

from smoothing.bounds import BOUNDS, Bound, Counts, minimum_samples, split_alpha
from smoothing.errors import require
from smoothing.noises.base import Noise, Radii
from smoothing.randomness import generator_for
from smoothing.sampling import BaseClassifier, count_classes, require_image, require_pixel_units
from smoothing.schedule import Look, single_look

AbstainReason = Literal["top_class_not_separated"]


@dataclass(frozen=True, eq=False)
class Certification:
    """A class, radii, and all that is needed to compute them again from the votes.

    Attributes:
        radius: In each norm, in pixel units, float64; 0 where abstained. Round it down before it is shown.
        bound: The bound on the class probabilities that the radius is from.
        bound_name: Its name in ``BOUNDS``.
        selection_counts: Selection votes per class ``(k,)``.
        counts: Estimation votes per class ``(k,)`` at the look that the radius is from.
        look_alpha: Failure probability spent on that look.
        n_drawn: Estimation votes drawn so far.
        alpha: Failure probability of all looks together: of the certificate.
    """

    radius: Radii
    bound: Bound
    bound_name: str
    selection_counts: Counts
    counts: Counts
    look_alpha: float
    n_drawn: int
    alpha: float

    @property
    def top_class(self) -> int:
        """The class most often voted for in the selection votes."""
        return self.bound.top_class

    @property
    def abstained(self) -> bool:
        """Whether the top class could not be proved the most probable one."""
        return not self.bound.certifies

    @property
    def abstain_reason(self) -> AbstainReason | None:
        """Why there is no certificate, or None."""
        return "top_class_not_separated" if self.abstained else None

    @property
    def n(self) -> int:
        """Estimation votes at the look that the radius is from."""
        return int(self.counts.sum())


def certify(
    base_classifier: BaseClassifier,
    image: Tensor,
    noise: Noise,
    *,
    num_classes: int,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    bound: str = "two_sided",
    looks: Sequence[Look] | None = None,
    batch_size: int = 1000,
    seed: int,
    on_batch: Callable[[int, int], None] | None = None,
    on_look: Callable[[Certification], bool | None] | None = None,
) -> Certification:
    """Certify that the smoothed classifier answers ``top_class`` everywhere within the radii, or abstain.

    With probability at least 1 − ``alpha`` over the votes, the smoothed classifier g (its most probable
    class under this noise) is constant within each radius around the image. ``n0`` votes choose the class,
    ``n`` fresh ones bound its probability, and the noise turns the bound into radii. With several ``looks``
    the bound is also taken on the way; all of them hold at once, so the largest radius counts and it can
    only grow.

    Args:
        base_classifier: f, ``(b, c, h, w)`` in pixel units to logits ``(b, num_classes)``. Each row must
            depend on its own image only (see ``check_batch_invariance``).
        image: ``(c, h, w)``, float32 or float64, in [0, 1].
        noise: The noise of g.
        num_classes: k, at least 2.
        n0: Selection votes.
        n: Estimation votes.
        alpha: Failure probability of the answer, in (0, ½).
        bound: A name in ``BOUNDS``.
        looks: When to bound and at which alpha: rising, ending at ``n``, spending at most ``alpha`` in all,
            such as ``look_schedule(n, alpha)``. Default: the paper's one look at the end.
        batch_size: Most images in one call of f.
        seed: 128 bits, fresh for each certificate (``draw_seed``). The votes can be drawn again from it.
        on_batch: Called with the votes done and the votes planned, selection and estimation together, after
            each batch. It may raise to abandon the work.
        on_look: Called with the best certificate so far after each look. It is valid already; a true answer
            stops here and returns it.

    Raises:
        InvalidParameter: An argument is out of range, or ``n`` votes could not certify anything at ``alpha``.
        InvalidLogits: f answers in another shape or type, or not finitely.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        Algorithm 2 (CERTIFY), here with a choice of noise, bound and looks.

    >>> import torch
    >>> from smoothing import Gaussian
    >>> def brightest(images: Tensor) -> Tensor:
    ...     return images.flatten(1)
    >>> image = torch.tensor([[[0.9, 0.1, 0.1]]])
    >>> certification = certify(brightest, image, Gaussian(0.25), num_classes=3, n=10_000, seed=1)
    >>> certification.top_class, round(certification.radius.l2, 2)
    (0, 0.49)
    """
    looks = single_look(n, alpha) if looks is None else looks
    _require_arguments(image, n0, n, alpha, bound, looks)
    vote = _voter(base_classifier, image, noise, num_classes, batch_size, seed, n0 + n, on_batch)

    selection_counts = vote("selection", n0)
    top_class = int(selection_counts.argmax())

    counts = np.zeros(num_classes, dtype=np.int64)
    best: Certification | None = None
    for look in looks:
        counts = counts + vote("estimation", look.n - int(counts.sum()))
        split = split_alpha(selection_counts, look.alpha)
        bounded = BOUNDS[bound](counts, top_class, look.alpha, alpha_upper=split)
        radius = noise.radius(bounded.p_lower, bounded.p_upper, dimension=image.numel())
        latest = Certification(
            radius=radius,
            bound=bounded,
            bound_name=bound,
            selection_counts=selection_counts,
            counts=counts,
            look_alpha=look.alpha,
            n_drawn=look.n,
            alpha=alpha,
        )
        best = _better(best, latest)
        if on_look is not None and on_look(best):
            break
    assert best is not None  # noqa: S101 (there is at least one look)
    return best


def _better(best: Certification | None, latest: Certification) -> Certification:
    """The one with the larger radius, the later one if equal, with the votes drawn by now."""
    if best is None or latest.radius.l2 >= best.radius.l2:
        return latest
    return replace(best, n_drawn=latest.n_drawn)


def _voter(
    base_classifier: BaseClassifier,
    image: Tensor,
    noise: Noise,
    num_classes: int,
    batch_size: int,
    seed: int,
    total: int,
    on_batch: Callable[[int, int], None] | None,
) -> Callable[[str, int], Counts]:
    """SampleUnderNoise for this image: ``vote(stream, n)`` continues the named stream, reporting progress."""
    streams = {name: generator_for(seed, name, device=image.device) for name in ("selection", "estimation")}
    completed = 0

    def report(votes: int) -> None:
        nonlocal completed
        completed += votes
        if on_batch is not None:
            on_batch(completed, total)

    def vote(stream: str, n: int) -> Counts:
        return count_classes(
            base_classifier,
            image,
            noise,
            n,
            num_classes=num_classes,
            batch_size=batch_size,
            generator=streams[stream],
            on_batch=None if on_batch is None else report,
        )

    return vote


def _require_arguments(
    image: Tensor, n0: int, n: int, alpha: float, bound: str, looks: Sequence[Look]
) -> None:
    require_image(image)
    require_pixel_units(image)
    require(n0 >= 1, "n0", "be >= 1", n0)
    require(0.0 < alpha < 0.5, "alpha", "be in (0, 0.5)", alpha)
    require(bound in BOUNDS, "bound", f"be one of {', '.join(BOUNDS)}", bound)
    votes = [look.n for look in looks]
    require(bool(votes) and votes == sorted(set(votes)), "looks", "rise", votes)
    require(votes[-1] == n, "looks", f"end at n = {n}", votes[-1])
    spent = fsum(look.alpha for look in looks)
    require(spent <= alpha, "looks", f"spend at most alpha = {alpha}", spent)
    for look in looks:
        least = minimum_samples(look.alpha)
        require(look.n >= least, "n", f"be >= {least} to certify at alpha = {look.alpha}", look.n)
