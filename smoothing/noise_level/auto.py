"""Auto-Noise: the noise level of a grid that promises the largest radius."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from smoothing.bounds import BOUNDS, Counts, minimum_samples, require_alpha, split_alpha
from smoothing.copies import is_exact, noisy_copies, require_image, require_pixel_units
from smoothing.errors import require, require_count
from smoothing.noise_level.base import ChosenSigma, ClassifierFor, SigmaTrial, chosen
from smoothing.noises.base import Noise
from smoothing.randomness import draw_seed
from smoothing.sampling import count_classes, count_of_classes

AUTO_GRID = (0.12, 0.25, 0.37, 0.50, 0.67, 0.75, 0.87, 1.0)
"""The paper's grid of sigmas, pixel units."""

_THREE_CLASSES = np.ones(3, dtype=np.int64)


def auto_noise(
    classifier_for: ClassifierFor,
    images: Tensor,
    noise: type[Noise],
    grid: Sequence[float] = AUTO_GRID,
    *,
    n: int = 1000,
    alpha: float = 0.001,
    bound: str = "two_sided",
    batch_size: int = 1000,
    seed: int | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[ChosenSigma]:
    """Choose for each image the sigma of the grid with the largest proxy radius; ties go to the smaller.

    Every sigma gets up to ``n`` votes of its own, from streams of the seed that no certificate draws from;
    they are not to be used again. A sigma is given no more of them when even unanimous ones could not make it
    the best: the choice is the one that all votes would make. Where no sigma certifies, the one with the
    largest top count is chosen and ``certifies`` is false.

    The radius found here is a proxy: the largest of several, from the votes that chose it. Certify once at
    the chosen sigma. That certificate is about g_σ at this sigma only, not about a classifier that chooses
    its sigma by input.

    Args:
        classifier_for: The base classifier at a sigma, asked once for each and kept to the end.
        images: ``(m, c, h, w)``: uint8, for exact noise; or float32 or float64, in [0, 1].
        noise: Kind of noise, such as ``Gaussian``; radii are compared in its own norm, ``noise.norms[0]``.
        grid: Sigmas to try, in any order.
        n: Votes per sigma and image, at most.
        alpha: Failure probability that the proxy is computed at, in (0, ½).
        bound: A name in ``BOUNDS``.
        batch_size: Most images in one call of the base classifier.
        seed: 128 bits. Default: drawn. An image's noise level does not depend on the other images.
        on_batch: Called with the votes done or spared and the votes planned. It may raise to abandon the
            work.

    Returns:
        A ``ChosenSigma`` for each image, its trials in rising order of sigma, each with the votes it got.

    Raises:
        InvalidParameter: An argument is out of range, or ``n`` votes could not certify anything at ``alpha``.
        InvalidLogits: A base classifier answers in another shape or type, or not finitely.

    Reference:
        "Certification through Adaptation", §3.3 and equation 5 (arXiv:2102.05096), with the sigmas of §3.3.

    >>> import torch
    >>> from smoothing import Gaussian
    >>> def brightest(images: Tensor) -> Tensor:
    ...     return images.flatten(1)
    >>> images = torch.tensor([[[[0.9, 0.1, 0.1]]], [[[0.9, 0.6, 0.1]]]])
    >>> levels = auto_noise(lambda sigma: brightest, images, Gaussian, seed=3)
    >>> [level.sigma for level in levels]
    [0.37, 0.25]
    """
    sigmas = _require_arguments(images, grid, n, alpha, bound)
    if is_exact(images):
        sigmas = sorted({noise(sigma).on_lattice().sigma for sigma in sigmas})
    seed = draw_seed() if seed is None else seed
    asked_once = functools.cache(classifier_for)
    num_classes = count_of_classes(asked_once(sigmas[0]), images[0])
    looks = _looks(n, batch_size)
    completed, total = 0, len(sigmas) * len(images) * n

    def report(votes: int) -> None:
        nonlocal completed
        completed += votes
        if on_batch is not None:
            on_batch(completed, total)

    def candidate(sigma: float, image: Tensor) -> _Candidate:
        draw = functools.partial(
            count_classes,
            asked_once(sigma),
            noisy_copies(image, noise(sigma), seed, f"noise_level/{sigma!r}"),
            num_classes=num_classes,
            batch_size=batch_size,
            on_batch=None if on_batch is None else report,
        )
        return _Candidate(noise(sigma), draw, draw(looks[0]), n, alpha, bound, image.numel())

    return [
        _choose(_compared([candidate(sigma, image) for sigma in sigmas], looks, report)) for image in images
    ]


def _looks(n: int, batch_size: int) -> list[int]:
    """Votes at which it is asked whether a sigma can still win: four to ten times, after whole batches."""
    step = min(math.ceil(n / 4), batch_size * math.ceil(n / 10 / batch_size))
    return [*range(step, n, step), n]


@dataclass(eq=False)
class _Candidate:
    """One sigma for one image, and the votes that it has so far."""

    noise: Noise
    draw: Callable[..., Counts]  # of so many votes, from number `first` on
    counts: Counts
    n: int  # votes, at most
    alpha: float
    bound: str
    dimension: int

    @property
    def votes(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    def vote(self, votes: int) -> None:
        """Draws until there are this many."""
        self.counts = self.counts + self.draw(votes - self.votes, first=self.votes)

    def trial(self) -> SigmaTrial:
        """What its votes say."""
        radius = self._radius(self.counts, split_alpha(self.counts, self.alpha))
        return SigmaTrial(self.noise.sigma, radius, radius > 0.0, int(self.counts.max()), self.votes)

    def promise(self) -> tuple[float, int]:
        """What decides which candidate is looked at first."""
        trial = self.trial()
        return trial.proxy_radius, trial.top_count

    def ceiling(self) -> float:
        """The largest radius that it can end with: if all the votes to come are for its leader."""
        counts = self.counts.copy()
        counts[counts.argmax()] += self.n - self.votes
        # a third class among the votes to come would split alpha
        splits = {split_alpha(votes, self.alpha) for votes in (self.counts, _THREE_CLASSES)}
        return max(self._radius(counts, split) for split in splits)

    def _radius(self, counts: Counts, alpha_upper: float) -> float:
        bounded = BOUNDS[self.bound](counts, int(counts.argmax()), self.alpha, alpha_upper=alpha_upper)
        radii = self.noise.radius(bounded.p_lower, bounded.p_upper, dimension=self.dimension)
        return self.noise.own_radius(radii)


def _compared(
    candidates: Sequence[_Candidate], looks: Sequence[int], report: Callable[[int], None]
) -> list[SigmaTrial]:
    """The trials in rising order of sigma; a candidate that can no longer win gets no more votes.

    Those that look best are tried first: the sooner a large radius is known, the more votes the others spare.
    """
    trials: list[SigmaTrial] = []
    best = 0.0
    for candidate in sorted(candidates, key=_Candidate.promise, reverse=True):
        for votes in looks[1:]:
            if candidate.ceiling() < best:
                report(looks[-1] - candidate.votes)
                break
            candidate.vote(votes)
        trials.append(candidate.trial())
        best = max(best, trials[-1].proxy_radius)
    return sorted(trials, key=lambda trial: trial.sigma)


def _choose(trials: list[SigmaTrial]) -> ChosenSigma:
    """The best of the trials, which come in rising order of sigma; ``max`` takes the first of equals.

    It has all its votes: those that were given up are below another, which certifies.
    """
    certifies = any(trial.certifies for trial in trials)
    return chosen(max(trials, key=lambda trial: trial.proxy_radius if certifies else trial.top_count), trials)


def _require_arguments(
    images: Tensor, grid: Sequence[float], n: int, alpha: float, bound: str
) -> list[float]:
    """The grid in rising order."""
    require_image(images, "images", "(m, c, h, w)")
    require_pixel_units(images, "images")
    sigmas = sorted(float(sigma) for sigma in grid)
    require(bool(sigmas), "grid", "not be empty", sigmas)
    require(
        all(sigma > 0.0 and math.isfinite(sigma) for sigma in sigmas), "grid", "be > 0 and finite", sigmas
    )
    require(len(set(sigmas)) == len(sigmas), "grid", "not repeat a sigma", sigmas)
    require_alpha(alpha, 0.5)
    require(bound in BOUNDS, "bound", f"be one of {', '.join(BOUNDS)}", bound)
    require_count(n, "n")
    least = minimum_samples(alpha)
    require(n >= least, "n", f"be >= {least} to certify at alpha = {alpha}", n)
    return sigmas
