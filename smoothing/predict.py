"""Predict: the class of the smoothed classifier at an image, with no radius."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special
from torch import Tensor

from smoothing.bounds import Counts, require_alpha
from smoothing.copies import is_exact, noisy_copies, require_image, require_pixel_units
from smoothing.noises.base import Noise, require_noise
from smoothing.observer import Observer
from smoothing.randomness import draw_seed
from smoothing.sampling import BaseClassifier, count_classes, count_of_classes


@dataclass(frozen=True, eq=False)
class Prediction:
    """A class, or an abstention, with the votes it rests on.

    Attributes:
        top_class: The class with the most votes.
        runner_up: The class with the next most; None when there was no other vote.
        counts: Votes per class ``(k,)``.
        n: Votes in all.
        p_value: Of the two-sided test that the top two classes are equally probable.
        alpha: Failure probability.
        abstained: Whether the top two could not be told apart.
        seed: Of the votes' random stream: 128 bits, given or drawn; None where the votes came from elsewhere.
        exact: Whether the noise was exact: the image was bytes.
    """

    top_class: int
    runner_up: int | None
    counts: Counts
    n: int
    p_value: float
    alpha: float
    abstained: bool
    seed: int | None = None
    exact: bool = False


def predict(
    base_classifier: BaseClassifier,
    image: Tensor,
    noise: Noise,
    *,
    n: int = 100_000,
    alpha: float = 0.001,
    batch_size: int = 1000,
    seed: int | None = None,
    observer: Observer | None = None,
) -> Prediction:
    """Predict the smoothed classifier's class, or abstain; wrong with probability at most ``alpha``.

    Args:
        base_classifier: f, ``(b, c, h, w)`` in pixel units to logits ``(b, k)``.
        image: ``(c, h, w)``: uint8, for exact noise; or float32 or float64, in [0, 1].
        noise: The noise of g; for an image of bytes, the nearest that is exact.
        n: Votes.
        alpha: Failure probability, in (0, ½).
        batch_size: Most images in one call of f.
        seed: 128 bits. Default: drawn. The result keeps it.
        observer: Hears of progress after each batch; may raise to abandon the work.

    Raises:
        InvalidParameter: An argument is out of range.
        UnusableClassifier: f is in training mode, or answers in another shape or type, or not finitely.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        Algorithm 1 (PREDICT) and Proposition 1, after Hung & Fithian, "Rank verification for exponential
        families", 2019.

    >>> import torch
    >>> from smoothing import Gaussian
    >>> def brightest(images: Tensor) -> Tensor:
    ...     return images.flatten(1)
    >>> image = torch.tensor([[[0.9, 0.1, 0.1]]])
    >>> prediction = predict(brightest, image, Gaussian(0.25), n=1000, seed=1)
    >>> prediction.top_class, prediction.abstained
    (0, False)
    """
    require_image(image)
    require_noise(noise)
    require_pixel_units(image)
    require_alpha(alpha, 0.5)
    seed = draw_seed() if seed is None else seed
    exact = is_exact(image)
    noise = noise.on_lattice() if exact else noise
    completed = 0

    def on_batch(votes: int) -> None:
        nonlocal completed
        completed += votes
        if observer is not None:
            observer.on_progress(completed, n)

    counts = count_classes(
        base_classifier,
        noisy_copies(image, noise, seed, "prediction"),
        n,
        num_classes=count_of_classes(base_classifier, image),
        batch_size=batch_size,
        on_batch=None if observer is None else on_batch,
    )
    error = noise.lattice_error(image.numel()) if exact else 0.0
    return replace(decide(counts, alpha, error=error), seed=seed, exact=exact)


def decide(counts: Counts, alpha: float, *, error: float = 0.0) -> Prediction:
    """The prediction that the votes ``(k,)`` support: the rule of ``predict``, apart from the sampling.

    Args:
        counts: Votes per class, int64, at least one vote.
        alpha: Failure probability, in (0, ½).
        error: How far the law of each vote's noise may be from the stated one, in total variation; that of
            all votes together is no further than n times as much.

    >>> decide(np.array([60, 40, 0]), 0.001).abstained, decide(np.array([70, 30, 0]), 0.001).abstained
    (True, False)
    """
    top_class, second = (int(label) for label in np.argsort(-counts, kind="stable")[:2])
    top_votes, second_votes = int(counts[top_class]), int(counts[second])
    # The exact two-sided test of p = ½: both tails are alike, P(Bin(a + b, ½) ≥ a) = I_½(a, b + 1).
    p_value = 2.0 * float(special.betainc(top_votes, second_votes + 1, 0.5))
    p_value = min(1.0, p_value + int(counts.sum()) * error)
    return Prediction(
        top_class=top_class,
        runner_up=second if second_votes > 0 else None,
        counts=counts,
        n=int(counts.sum()),
        p_value=p_value,
        alpha=alpha,
        abstained=p_value > alpha,
    )
