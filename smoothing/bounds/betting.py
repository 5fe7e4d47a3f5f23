"""The bound that holds at every moment at once, where no schedule of looks can be fixed in advance."""

import math

from scipy import special

from smoothing.bounds.clopper_pearson import SLACK
from smoothing.errors import require


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
