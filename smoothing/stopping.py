"""When to stop voting: because nothing more can be had, or by a bound that holds at every moment.

Giving up never endangers a certificate: who stops early has fewer votes and claims less. What can go wrong is
only that an input is given up which more votes would have certified. ``out_of_reach`` never does so;
``hopeless`` does with a probability ``beta`` of its own, which has nothing to do with alpha.
"""

import math
from collections.abc import Callable, Sequence

from scipy import special

from smoothing.bounds import (
    SLACK,
    SMALLEST_SPLIT,
    Counts,
    lower_confidence_bound,
    upper_confidence_bound,
)
from smoothing.errors import require
from smoothing.noises.base import Noise, Radii
from smoothing.schedule import Look

_SHAVE = 1.0 - 2.0**-40  # so that rounding cannot carry the sum of the betas above beta


def own_radius(noise: Noise, radii: Radii) -> float:
    """The radius in the noise's own norm, ``noise.norms[0]``: the one its theorem is about.

    >>> from smoothing import Gaussian
    >>> own_radius(Gaussian(0.5), Radii(l2=0.3, l1=0.3, linf=0.1))
    0.3
    """
    return float(getattr(radii, noise.norms[0]))


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
    return own_radius(noise, noise.radius(p_top, p_other, dimension=dimension)) <= target


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
    >>> from smoothing import Gaussian, one_sided
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


def betting_lower_bound(successes: int, trials: int, alpha: float) -> float:
    """Lower bound on a probability that holds after *every* vote at once, except with probability ``alpha``.

    Useful where a bound is wanted at any time and no schedule of looks can be fixed in advance: look after
    every batch, stop for whatever reason the votes give, keep the largest value seen. A gambler who bets on
    the next vote by the Krichevsky–Trofimov rule, (successes + ½) / (trials + 1), multiplies the stake by
    more than 1 / alpha against a true p with probability at most alpha (Ville's inequality), ever; the bound
    is the smallest p against which that did not happen. Where looks are fixed in advance, Clopper–Pearson
    with a share of alpha for each look (``look_schedule``) is tighter at the end.

    Args:
        successes: Votes for the class, 0 to ``trials``.
        trials: Votes in all, at least 1.
        alpha: Failure probability over all times together, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Voráček, "Treatment of Statistical Estimation Problems in Randomized Smoothing for Adversarial
        Robustness", NeurIPS 2024, here one-sided with threshold ln(1 / alpha); Krichevsky & Trofimov,
        "The performance of universal encoding", IEEE Transactions on Information Theory 27 (1981).

    >>> round(betting_lower_bound(990, 1000, 0.001), 6)
    0.968035
    >>> betting_lower_bound(0, 1000, 0.001)
    0.0
    """
    require(0.0 < alpha < 1.0, "alpha", "be in (0, 1)", alpha)
    require(trials >= 1, "trials", "be >= 1", trials)
    require(0 <= successes <= trials, "successes", f"be in 0..{trials}", successes)
    if successes == 0:
        return 0.0
    failures = trials - successes
    log_wealth = float(special.betaln(successes + 0.5, failures + 0.5) - special.betaln(0.5, 0.5))
    floor = log_wealth + math.log(alpha) - SLACK * (1.0 - log_wealth)  # of log-likelihoods not rejected
    low, high = 0.0, successes / trials
    while low < (middle := (low + high) / 2.0) < high:
        if special.xlogy(successes, middle) + special.xlog1py(failures, -middle) <= floor:
            low = middle
        else:
            high = middle
    return low * (1.0 - SLACK)
