"""Giving up: no more votes for an input that they would not certify.

Giving up never endangers a certificate: it rests on fewer votes and claims less. What can go wrong is only
that an input is given up which more votes would have certified. ``out_of_reach`` never does so; ``hopeless``
does with a probability ``beta`` of its own, which has nothing to do with alpha.
"""

import math
from collections.abc import Callable, Sequence

from smoothing.bounds import SMALLEST_SPLIT, Counts, lower_confidence_bound, upper_confidence_bound
from smoothing.errors import require
from smoothing.noises.base import Noise
from smoothing.stopping.schedule import Look

_SHAVE = 1.0 - 2.0**-40  # so that rounding cannot carry the sum of the betas above beta


def hopeless(
    counts: Counts,
    top_class: int,
    *,
    noise: Noise,
    dimension: int,
    beta: float,
    target: float = 0.0,
    bound: str,
) -> bool:
    """Whether the true probabilities allow no radius above ``target``; wrongly so with probability ``beta``.

    The radius grows with the top class's probability and shrinks with the largest other one's, so it is at
    most what an upper bound on the former and a lower bound on the latter give. Each of the two spends half
    of ``beta``; the lower bound shares its half equally among the k − 1 other classes, for which of them is
    the largest is not known. The largest is also at least the others' mean, which counts where no single one
    has votes enough. The one-sided bound knows only the top class, and spends all of ``beta`` on it.

    For several looks at the same votes, share ``beta`` among them (``share_beta``).

    Args:
        counts: Estimation votes per class ``(k,)``, int64.
        top_class: The class to certify, chosen from other, independent votes.
        noise: Turns probabilities into radii.
        dimension: Number of coordinates of an image, c·h·w.
        beta: Probability of a wrong answer "hopeless", in (0, 1).
        target: In the noise's own norm, pixel units, at least 0.
        bound: A name in ``BOUNDS``: what the certificate would use.

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Clopper & Pearson, Biometrika 26 (1934), with Bonferroni's inequality over the other classes.

    >>> import numpy as np
    >>> from smoothing import Gaussian
    >>> few, many = np.array([40, 60]), np.array([400, 600])
    >>> [hopeless(votes, 0, noise=Gaussian(0.5), dimension=784, beta=0.001, bound="two_sided")
    ...  for votes in (few, many)]
    [False, True]
    """
    require(target >= 0.0, "target", "be >= 0", target)
    n, others = int(counts.sum()), len(counts) - 1
    top_votes = int(counts[top_class])
    one_sided = bound == "one_sided" or others == 1
    p_top = upper_confidence_bound(top_votes, n, beta if one_sided else beta / 2)
    if p_top == 1.0:
        return False
    p_other = 1.0 - p_top
    if not one_sided:
        most = max(int(votes) for label, votes in enumerate(counts) if label != top_class)
        p_other = max(lower_confidence_bound(most, n, beta / 2 / others), p_other / others)
        p_top = min(p_top, 1.0 - p_other)
    return noise.own_radius(noise.radius(p_top, p_other, dimension=dimension)) <= target


def out_of_reach(
    counts: Counts,
    top_class: int,
    looks_left: Sequence[Look],
    *,
    radius_at: Callable[[Counts, Look], float],
    target: float = 0.0,
) -> bool:
    """Whether no remaining look can certify ``target``, even if every vote to come is for the top class.

    This is certain, so stopping now loses nothing. With ``target`` = 0: whether nothing can be certified.

    Args:
        counts: Estimation votes per class ``(k,)`` so far, int64.
        top_class: The class to certify.
        looks_left: The looks not yet taken, in rising order, each at more votes than there are.
        radius_at: The radius that the given votes would certify at a look, in the noise's own norm. More
            votes for the top class must not make it smaller, which holds for every bound in ``BOUNDS``.
        target: In the noise's own norm, pixel units.

    >>> import numpy as np
    >>> from smoothing.noises import Gaussian
    >>> from smoothing.bounds import one_sided
    >>> def radius_at(counts: Counts, look: Look) -> float:
    ...     bound = one_sided(counts, 0, look.alpha)
    ...     return Gaussian(0.5).radius(bound.p_lower, bound.p_upper, dimension=784).l2
    >>> [out_of_reach(np.array([votes, 100 - votes]), 0, [Look(200, 0.001)], radius_at=radius_at, target=0.5)
    ...  for votes in (80, 90)]
    [True, False]
    """

    def within_reach(look: Look) -> bool:
        votes = counts.copy()
        votes[top_class] += look.n - int(counts.sum())
        return (radius := radius_at(votes, look)) >= target and radius > 0.0

    return not any(within_reach(look) for look in reversed(looks_left))  # the last most often decides


def share_beta(looks: Sequence[Look], beta: float) -> tuple[float, ...]:
    """How much of ``beta`` each look may spend on giving up: in the proportions of alpha, none at the last.

    The last look has nothing left to save. By the union bound over looks, some look gives up wrongly with
    probability at most the sum, ``beta``.

    Args:
        looks: In rising order.
        beta: Probability of giving up wrongly at any look, in [0, 1).

    Raises:
        InvalidParameter: ``beta`` is out of range.

    >>> [round(share, 6) for share in share_beta([Look(50, 3e-4), Look(75, 1e-4), Look(100, 6e-4)], 0.01)]
    [0.0075, 0.0025, 0.0]
    """
    require(0.0 <= beta < 1.0, "beta", "be in [0, 1)", beta)
    earlier = math.fsum(look.alpha for look in looks[:-1])
    if beta < SMALLEST_SPLIT:
        return (0.0,) * len(looks)
    return (*(beta * (look.alpha / earlier) * _SHAVE for look in looks[:-1]), 0.0)
