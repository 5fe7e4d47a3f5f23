"""Auto-Noise: the noise level of a grid that promises the largest radius."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from smoothing.bounds import BOUNDS, minimum_samples, split_alpha
from smoothing.errors import require
from smoothing.noise_level.base import ClassifierFor, NoiseLevel, Trial, require_images
from smoothing.noises.base import Noise
from smoothing.randomness import generator_for
from smoothing.sampling import BaseClassifier, count_classes

AUTO_GRID = (0.12, 0.25, 0.37, 0.50, 0.67, 0.75, 0.87, 1.0)
"""The paper's grid of sigmas, pixel units."""


def auto_noise(
    classifier_for: ClassifierFor,
    images: Tensor,
    noise: type[Noise],
    grid: Sequence[float] = AUTO_GRID,
    *,
    num_classes: int,
    n: int = 1000,
    alpha: float = 0.001,
    bound: str = "two_sided",
    batch_size: int = 1000,
    seed: int,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[NoiseLevel]:
    """Choose for each image the sigma of the grid with the largest proxy radius; ties go to the smaller.

    Every sigma gets ``n`` votes of its own, from streams of the seed that no certificate draws from; they are
    not to be used again. Where no sigma certifies, the one with the largest top count is chosen and
    ``certifies`` is false.

    The radius found here is a proxy: the largest of several, from the votes that chose it. Certify once at
    the chosen sigma. That certificate is about g_σ at this sigma only, not about a classifier that chooses
    its sigma by input.

    Args:
        classifier_for: The base classifier at a sigma, asked once for each.
        images: ``(m, c, h, w)``, float32 or float64, in [0, 1].
        noise: Kind of noise, such as ``Gaussian``; radii are compared in its own norm, ``noise.norms[0]``.
        grid: Sigmas to try, in any order.
        num_classes: k, at least 2.
        n: Votes per sigma and image.
        alpha: Failure probability that the proxy is computed at, in (0, ½).
        bound: A name in ``BOUNDS``.
        batch_size: Most images in one call of the base classifier.
        seed: 128 bits. An image's noise level does not depend on the other images.
        on_batch: Called with the votes done and the votes planned after each batch. It may raise to abandon
            the work.

    Returns:
        A ``NoiseLevel`` for each image, its trials in rising order of sigma.

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
    >>> levels = auto_noise(lambda sigma: brightest, images, Gaussian, num_classes=3, seed=1)
    >>> [level.sigma for level in levels]
    [0.37, 0.25]
    """
    sigmas = _require_arguments(images, grid, n, alpha, bound)
    completed, total = 0, len(sigmas) * len(images) * n

    def report(votes: int) -> None:
        nonlocal completed
        completed += votes
        if on_batch is not None:
            on_batch(completed, total)

    def trial(base_classifier: BaseClassifier, image: Tensor, sigma: float) -> Trial:
        counts = count_classes(
            base_classifier,
            image,
            noise(sigma),
            n,
            num_classes=num_classes,
            batch_size=batch_size,
            generator=generator_for(seed, f"noise_level/{sigma!r}", device=image.device),
            on_batch=None if on_batch is None else report,
        )
        top_class = int(counts.argmax())
        bounded = BOUNDS[bound](counts, top_class, alpha, alpha_upper=split_alpha(counts, alpha))
        radii = noise(sigma).radius(bounded.p_lower, bounded.p_upper, dimension=image.numel())
        proxy_radius = float(getattr(radii, noise.norms[0]))
        return Trial(sigma, proxy_radius, bounded.certifies, top_class, int(counts[top_class]), n)

    trials: list[list[Trial]] = [[] for _ in images]
    for sigma in sigmas:
        base_classifier = classifier_for(sigma)
        for image, of_image in zip(images, trials, strict=True):
            of_image.append(trial(base_classifier, image, sigma))
    return [_choose(of_image) for of_image in trials]


def _choose(trials: list[Trial]) -> NoiseLevel:
    """The best of the trials, which come in rising order of sigma; ``max`` takes the first of equals."""
    certifies = any(trial.certifies for trial in trials)
    best = max(trials, key=lambda trial: trial.proxy_radius if certifies else trial.top_count)
    return NoiseLevel(
        best.sigma, certifies, best.proxy_radius, sum(trial.n for trial in trials), tuple(trials)
    )


def _require_arguments(
    images: Tensor, grid: Sequence[float], n: int, alpha: float, bound: str
) -> list[float]:
    """The grid in rising order."""
    require_images(images)
    sigmas = sorted(float(sigma) for sigma in grid)
    require(bool(sigmas), "grid", "not be empty", sigmas)
    require(
        all(sigma > 0.0 and math.isfinite(sigma) for sigma in sigmas), "grid", "be > 0 and finite", sigmas
    )
    require(len(set(sigmas)) == len(sigmas), "grid", "not repeat a sigma", sigmas)
    require(0.0 < alpha < 0.5, "alpha", "be in (0, 0.5)", alpha)
    require(bound in BOUNDS, "bound", f"be one of {', '.join(BOUNDS)}", bound)
    least = minimum_samples(alpha)
    require(n >= least, "n", f"be >= {least} to certify at alpha = {alpha}", n)
    return sigmas
