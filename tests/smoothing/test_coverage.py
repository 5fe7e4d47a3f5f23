"""Every bound, schedule and test fails at most as often as it says: simulation of the votes.

Each simulation draws 20 000 sets of votes at alpha = 0.05 and rejects when more failed than a binomial with
that alpha exceeds with probability one in a million. That is sharp enough to notice an error of a factor two,
which is asserted too: the same bound at 2·alpha must be rejected.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from smoothing import BOUNDS, NOISES, Certification, Gaussian, Look, Noise, Radii, look_schedule
from smoothing.bounds import split_alpha
from smoothing.hybrid import HybridCertification, combine, combine_predictions
from smoothing.noises import Uniform
from smoothing.predict import Prediction, decide

TRIALS = 20_000
ALPHA = 0.05
N0 = 100
N = 1000
DIMENSION = 12
LIMIT = int(stats.binom.ppf(1 - 1e-6, TRIALS, ALPHA))

P = {
    "null": (0.5, 0.5),
    "near_null": (0.51, 0.49),
    "three": (0.6, 0.2, 0.2),
    "near_tie_of_three": (0.35, 0.33, 0.32),
    "scattered": (0.55, *[0.05] * 9),
    "confident": (0.99, 0.005, 0.005),
}
Counts = NDArray[np.int64]


@pytest.fixture
def rng() -> np.random.Generator:
    """The same votes in each run, so that no run fails by chance alone."""
    return np.random.default_rng(20190208)


def cumulative_votes(rng: np.random.Generator, p: tuple[float, ...], looks: tuple[Look, ...]) -> list[Counts]:
    """Votes ``(trials, k)`` at each look; later looks contain the earlier votes."""
    steps = np.diff([0, *(look.n for look in looks)])
    return list(np.cumsum([rng.multinomial(int(step), p, size=TRIALS) for step in steps], axis=0))


def wrong(
    bound: str, p: tuple[float, ...], selection: Counts, counts: Counts, alpha: float
) -> NDArray[np.bool_]:
    """In which trials the bound on the class chosen by the selection votes is wrong on either side."""
    top_class = selection.argmax(axis=1)

    @cache
    def fails(top: int, votes: tuple[int, ...], split: bool) -> bool:
        selected = np.array([1, 1, 1 if split else 0])
        bounded = BOUNDS[bound](np.array(votes), 0, alpha, alpha_upper=split_alpha(selected, alpha))
        return bounded.p_lower > p[top] or bounded.p_upper < largest_without(p, top)

    rows = np.arange(len(counts))
    top_first = counts.copy()
    top_first[rows, top_class], top_first[:, 0] = counts[:, 0], counts[rows, top_class]
    top_first[:, 1:] = -np.sort(-top_first[:, 1:], axis=1)  # their order does not matter, so more are alike
    split = np.count_nonzero(selection, axis=1) > 2
    failed = np.zeros(len(counts), dtype=np.bool_)
    for row in worth_trying(bound, p, top_class, top_first, alpha).tolist():
        failed[row] = fails(int(top_class[row]), tuple(top_first[row].tolist()), bool(split[row]))
    return failed


def worth_trying(
    bound: str, p: tuple[float, ...], top_class: NDArray[np.intp], top_first: Counts, alpha: float
) -> NDArray[np.intp]:
    """Trials in which to compute the bound: all, or for the slow T-Certify all that its theory lets fail.

    Whatever split it takes, a side can be wrong only where votes came out that have probability at most
    alpha. So that this does not rest on theory alone, a few hundred other trials are computed as well.
    """
    if bound != "t_certify":
        return np.arange(len(top_first))
    n = int(top_first[0].sum())
    p_top = np.array(p)[top_class]
    p_other = np.array([largest_without(p, top) for top in range(len(p))])[top_class]
    many = stats.binom.sf(top_first[:, 0] - 1, n, p_top) <= alpha
    few = stats.binom.cdf(top_first[:, 1], n, p_other) <= alpha
    likely = many | few
    return np.concatenate((np.flatnonzero(likely), np.flatnonzero(~likely)[:300]))


def largest_without(p: tuple[float, ...], top: int) -> float:
    """The largest probability of another class."""
    return max(q for label, q in enumerate(p) if label != top)


@pytest.mark.parametrize("p", P.values(), ids=P.keys())
@pytest.mark.parametrize("bound", BOUNDS)
def test_bound_fails_at_most_at_its_rate(rng: np.random.Generator, bound: str, p: tuple[float, ...]) -> None:
    """Over the registry, with the split of alpha chosen from the selection votes as certify does."""
    selection = rng.multinomial(N0, p, size=TRIALS)
    counts = rng.multinomial(N, p, size=TRIALS)
    assert np.sum(wrong(bound, p, selection, counts, ALPHA)) <= LIMIT


@pytest.mark.parametrize(
    ("bound", "name"),
    [
        *product(["one_sided", "two_sided"], ["null", "near_null", "three", "scattered"]),
        # With three classes T-Certify's sum over all tails wastes more than half of alpha.
        *product(["t_certify"], ["null", "near_null", "near_tie_of_three"]),
    ],
)
def test_simulation_would_notice_twice_the_failure_rate(
    rng: np.random.Generator, bound: str, name: str
) -> None:
    """The same bound computed at 2·alpha is rejected by the same limit."""
    selection = rng.multinomial(N0, P[name], size=TRIALS)
    counts = rng.multinomial(N, P[name], size=TRIALS)
    assert np.sum(wrong(bound, P[name], selection, counts, 2 * ALPHA)) > LIMIT


def any_look_wrong(
    rng: np.random.Generator, bound: str, p: tuple[float, ...], looks: tuple[Look, ...]
) -> int:
    """Trials in which some look's bound is wrong, and so the best of them may be."""
    selection = rng.multinomial(N0, p, size=TRIALS)
    votes = cumulative_votes(rng, p, looks)
    failures = [
        wrong(bound, p, selection, counts, look.alpha) for counts, look in zip(votes, looks, strict=True)
    ]
    return int(np.sum(np.any(failures, axis=0)))


@pytest.mark.parametrize("name", ["null", "three", "scattered"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_all_looks_together_fail_at_most_at_alpha(rng: np.random.Generator, bound: str, name: str) -> None:
    """The running maximum over a schedule is a certificate at alpha."""
    looks = look_schedule(2 * N, ALPHA)
    assert len(looks) == 5
    assert any_look_wrong(rng, bound, P[name], looks) <= LIMIT


@pytest.mark.parametrize("name", ["null", "three"])
def test_simulation_would_notice_looks_that_do_not_share_alpha(rng: np.random.Generator, name: str) -> None:
    """Looking several times at full alpha, the natural mistake, is rejected; so is a schedule of 2·alpha."""
    looks = look_schedule(2 * N, ALPHA)
    greedy = tuple(Look(look.n, ALPHA) for look in looks)
    assert any_look_wrong(rng, "one_sided", P[name], greedy) > LIMIT
    assert any_look_wrong(rng, "one_sided", P[name], look_schedule(2 * N, 2 * ALPHA)) > LIMIT


def wrong_predictions(rng: np.random.Generator, p: tuple[float, ...], n: int, alpha: float) -> int:
    """Trials in which a class that is not the most probable one was predicted; at a tie, any class."""
    best = max(p)
    right = [label for label, q in enumerate(p) if q == best] if p.count(best) == 1 else []

    @cache
    def fails(votes: tuple[int, ...]) -> bool:
        prediction = decide(np.array(votes), alpha)
        return not prediction.abstained and prediction.top_class not in right

    return sum(fails(tuple(row)) for row in rng.multinomial(n, p, size=TRIALS).tolist())


@pytest.mark.parametrize("p", [(0.5, 0.5), (0.51, 0.49), (0.34, 0.33, 0.33), (0.4, 0.4, 0.2)])
def test_prediction_is_wrong_at_most_at_its_rate(rng: np.random.Generator, p: tuple[float, ...]) -> None:
    """Predict abstains often enough, at ties and near them, also when the second place is contested."""
    assert wrong_predictions(rng, p, 100, ALPHA) <= LIMIT


def test_simulation_would_notice_predictions_at_twice_alpha(rng: np.random.Generator) -> None:
    """At a tie the test at 2·alpha is rejected."""
    assert wrong_predictions(rng, (0.5, 0.5), 1000, 2 * ALPHA) > LIMIT


def test_certified_radius_of_a_tie_is_a_failure(rng: np.random.Generator) -> None:
    """At p = (½, ½) anything certified is false, and it is rare; the bound is also not idle there."""
    counts = rng.multinomial(N, (0.5, 0.5), size=TRIALS)
    certify: Callable[[int], bool] = cache(
        lambda votes: BOUNDS["two_sided"](np.array([votes, N - votes]), 0, ALPHA, alpha_upper=0.0).certifies
    )
    certified = sum(certify(votes) for votes in counts[:, 0].tolist())
    assert 0.7 * ALPHA * TRIALS < certified <= LIMIT


@dataclass(frozen=True)
class Slabs:
    """A classifier cut by planes across one coordinate, and the exact distance at which g changes its class.

    Class 0 lies above one plane, class 1 below another, class 2 in between where it has any probability.
    A perturbation along that coordinate is as long in ℓ1 and ℓ2 as in ℓ∞, so the distance is the true radius
    in each norm. No classifier of these probabilities changes sooner in the norm of either noise's theorem.
    """

    noise: Noise
    p: tuple[float, ...]

    @property
    def distance(self) -> float:
        """Where classes 0 and 1 become equally probable, from SciPy's distribution of the noise alone."""
        if self.p[0] == self.p[1]:
            return 0.0
        width = 3.0**0.5 * self.noise.sigma
        along: Any = {
            "gaussian": stats.norm(scale=self.noise.sigma),
            "uniform": stats.uniform(loc=-width, scale=2.0 * width),
        }[self.noise.name]
        upper, lower = along.isf(self.p[0]), along.ppf(self.p[1])
        distance: float = optimize.brentq(
            lambda shift: along.sf(upper + shift) - along.cdf(lower + shift), 0.0, 3.0 * width
        )
        between = along.cdf(upper + distance) - along.cdf(lower + distance)
        assert between < along.sf(upper + distance), "class 2 must not be the first to win"
        return distance


def plane(noise: Noise, distance: float) -> Slabs:
    """Two classes and a plane at this distance."""
    width = 3.0**0.5 * noise.sigma
    p = stats.norm.cdf(distance / noise.sigma) if noise.name == "gaussian" else 0.5 + distance / (2.0 * width)
    return Slabs(noise, (float(p), 1.0 - float(p)))


def certifications(
    rng: np.random.Generator, slabs: Slabs, looks: tuple[Look, ...], bound: str = "two_sided"
) -> list[list[Certification]]:
    """What ``certify`` would conclude at each look in each trial: ``[look][trial]``."""
    selection = rng.multinomial(N0, slabs.p, size=TRIALS)

    @cache
    def conclude(top_class: int, split: bool, votes: tuple[int, ...], look: Look) -> Certification:
        counts = np.array(votes)
        selected = np.eye(len(votes), dtype=np.int64)[top_class] * N0 + (1 if split else 0)
        bounded = BOUNDS[bound](counts, top_class, look.alpha, alpha_upper=split_alpha(selected, look.alpha))
        return Certification(
            radius=slabs.noise.radius(bounded.p_lower, bounded.p_upper, dimension=DIMENSION),
            bound=bounded,
            bound_name=bound,
            counts=counts,
            look_alpha=look.alpha,
            alpha=look.alpha,
            target_radius=None,
            noise=slabs.noise,
            dimension=DIMENSION,
            seed=0,
            selection_counts=selected,
            n_drawn=look.n,
        )

    top_class = selection.argmax(axis=1).tolist()
    split = (np.count_nonzero(selection, axis=1) > 2).tolist()
    return [
        [conclude(*row, look) for row in zip(top_class, split, map(tuple, counts.tolist()), strict=True)]
        for counts, look in zip(cumulative_votes(rng, slabs.p, looks), looks, strict=True)
    ]


def exceeds(radius: Radii, distance: float) -> bool:
    """Whether more is claimed than is true, in any norm; past the rounding of float64."""
    return max(radius.l2, radius.l1, radius.linf) > distance + 1e-12


def false_certificates(
    rng: np.random.Generator, slabs: Slabs, looks: tuple[Look, ...], bound: str = "two_sided"
) -> int:
    """Trials in which some look certifies another class, or more than the distance in some norm."""
    distance = slabs.distance

    @cache
    def false(certification: Certification) -> bool:
        wrong_class = not certification.abstained and certification.top_class != 0
        return wrong_class or exceeds(certification.radius, distance)

    by_look = certifications(rng, slabs, looks, bound)
    return sum(any(map(false, trial)) for trial in zip(*by_look, strict=True))


@pytest.mark.parametrize("distance", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("bound", BOUNDS)
def test_radius_exceeds_the_distance_to_a_plane_at_most_at_its_rate(
    rng: np.random.Generator, bound: str, noise: str, distance: float
) -> None:
    """Over both registries, on a tie, near it and away from it, with one look and with several."""
    slabs = plane(NOISES[noise](0.5), distance)
    assert slabs.distance == pytest.approx(distance, abs=1e-9)
    assert false_certificates(rng, slabs, (Look(N, ALPHA),), bound) <= LIMIT
    assert false_certificates(rng, slabs, look_schedule(2 * N, ALPHA), bound) <= LIMIT


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("bound", ["one_sided", "two_sided"])
def test_radius_exceeds_the_distance_at_most_at_its_rate_with_three_classes(
    rng: np.random.Generator, bound: str, noise: str
) -> None:
    """The worst classifier for both sides of the bound: runner-up and top class at opposite ends."""
    slabs = Slabs(NOISES[noise](0.5), (0.5, 0.3, 0.2))
    assert false_certificates(rng, slabs, (Look(N, ALPHA),), bound) <= LIMIT


@pytest.mark.parametrize("distance", [0.0, 0.3])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("bound", BOUNDS)
def test_simulation_would_notice_radii_at_twice_alpha(
    rng: np.random.Generator, bound: str, noise: str, distance: float
) -> None:
    """The plane is the worst classifier, so 2·alpha is seen in the radii too, with one look and with several."""
    slabs = plane(NOISES[noise](0.5), distance)
    assert false_certificates(rng, slabs, (Look(N, 2 * ALPHA),), bound) > LIMIT
    assert false_certificates(rng, slabs, look_schedule(2 * N, 2 * ALPHA), bound) > LIMIT


def test_simulation_would_notice_the_radius_of_the_other_noise(rng: np.random.Generator) -> None:
    """Uniform votes with the Gaussian radius, the mistake that the noises exist to prevent."""

    class Mistaken(Uniform):
        def _radii(self, p_lower: float, p_upper: float, dimension: int) -> Radii:
            return Gaussian(self.sigma).radius(p_lower, p_upper, dimension=dimension)

    slabs = Slabs(Mistaken(0.5), plane(Uniform(0.5), 0.8).p)
    assert false_certificates(rng, slabs, (Look(N, ALPHA),)) > LIMIT


GAUSSIAN, UNIFORM = Gaussian(0.5), Uniform(0.5)
HYBRIDS = {
    "same_plane": (plane(GAUSSIAN, 0.25), plane(UNIFORM, 0.25)),
    "two_planes": (plane(GAUSSIAN, 0.2), plane(UNIFORM, 0.3)),
    "both_tied": (plane(GAUSSIAN, 0.0), plane(UNIFORM, 0.0)),
    "one_tied": (plane(GAUSSIAN, 0.3), plane(UNIFORM, 0.0)),
    "three_classes": (Slabs(GAUSSIAN, (0.5, 0.3, 0.2)), Slabs(UNIFORM, (0.5, 0.3, 0.2))),
}


def false_hybrids(
    rng: np.random.Generator,
    branches: tuple[Slabs, Slabs],
    alphas: tuple[float, float],
    rule: Callable[[Certification, Certification], HybridCertification] = combine,
) -> int:
    """Trials in which the combined answer is another class, or claims more than is true in some norm.

    Another class than 0 is output only where both branches are past their planes, which are parallel; this
    class is surely output only where neither is.
    """
    farther, nearer = sorted((slabs.distance for slabs in branches), reverse=True)

    @cache
    def false(gaussian: Certification, uniform: Certification) -> bool:
        got = rule(gaussian, uniform)
        wrong_class = got.top_class not in (None, 0) or (got.top_class == 0 and farther == 0.0)
        return wrong_class or exceeds(got.radius, farther) or exceeds(got.same_class_radius, nearer)

    by_branch = [
        certifications(rng, slabs, (Look(N, alpha),))[0]
        for slabs, alpha in zip(branches, alphas, strict=True)
    ]
    return sum(map(false, *by_branch))


@pytest.mark.parametrize("branches", HYBRIDS.values(), ids=HYBRIDS.keys())
def test_hybrid_fails_at_most_at_the_sum_of_its_alphas(
    rng: np.random.Generator, branches: tuple[Slabs, Slabs]
) -> None:
    """Half of alpha for each branch, or another split of it, keeps the pair at alpha."""
    assert false_hybrids(rng, branches, (ALPHA / 2, ALPHA / 2)) <= LIMIT
    assert false_hybrids(rng, branches, (ALPHA / 5, 4 * ALPHA / 5)) <= LIMIT


@pytest.mark.parametrize("name", ["same_plane", "both_tied"])
def test_simulation_would_notice_branches_at_full_alpha(rng: np.random.Generator, name: str) -> None:
    """Two certificates at alpha each, the natural mistake, are rejected."""
    assert false_hybrids(rng, HYBRIDS[name], (ALPHA, ALPHA)) > LIMIT


def test_simulation_would_notice_radii_under_each_others_names(rng: np.random.Generator) -> None:
    """Claiming the very same class within the larger radius is rejected where the branches differ."""

    def generous(gaussian: Certification, uniform: Certification) -> HybridCertification:
        got = combine(gaussian, uniform)
        return replace(got, same_class_radius=got.radius)

    assert false_hybrids(rng, HYBRIDS["two_planes"], (ALPHA / 2, ALPHA / 2), generous) > LIMIT


def disagreeing_branches(
    rng: np.random.Generator, rule: Callable[[Certification, Certification], HybridCertification]
) -> int:
    """Trials that claim too much of branches with different true classes: 0 and, past its own plane, 1.

    Class 1 is output where the Gaussian branch is past its plane and the uniform one is not yet.
    """
    gaussian, uniform = plane(GAUSSIAN, 0.1), plane(UNIFORM, 0.15)
    swapped = Slabs(UNIFORM, uniform.p[::-1])
    truth = {0: gaussian.distance, 1: uniform.distance}
    branches = [certifications(rng, slabs, (Look(N, ALPHA / 2),))[0] for slabs in (gaussian, swapped)]

    @cache
    def false(one: Certification, other: Certification) -> bool:
        got = rule(one, other)
        claims_class = got.top_class is not None and exceeds(got.radius, truth[got.top_class])
        return claims_class or exceeds(got.same_class_radius, 0.0)

    return sum(map(false, *branches))


def test_hybrid_of_branches_with_different_classes_fails_at_most_at_its_rate(
    rng: np.random.Generator,
) -> None:
    """What one branch alone is sure of holds for the hybrid; a class that both output there does not exist."""
    assert disagreeing_branches(rng, combine) <= LIMIT

    def gaussian_first(one: Certification, other: Certification) -> HybridCertification:
        label = None if one.abstained else one.top_class
        return HybridCertification(label, one.radius, one.radius, None, one.alpha + other.alpha)

    assert disagreeing_branches(rng, gaussian_first) > LIMIT


def wrong_hybrid_predictions(rng: np.random.Generator, alpha: float) -> int:
    """Trials in which a tied branch, at alpha, agrees with one that is always right: the hybrid has no class."""
    votes = rng.multinomial(N, (0.5, 0.5), size=TRIALS)[:, 0].tolist()
    predict: Callable[[int], Prediction] = cache(lambda count: decide(np.array([count, N - count]), alpha))
    return sum(combine_predictions(predict(N), predict(count)) is not None for count in votes)


def test_hybrid_prediction_is_wrong_at_most_at_the_sum_of_its_alphas(rng: np.random.Generator) -> None:
    """The tied branch has to err on the other's side, half of its alpha: three times alpha for it is rejected."""
    assert wrong_hybrid_predictions(rng, ALPHA / 2) <= LIMIT
    assert wrong_hybrid_predictions(rng, 3 * ALPHA) > LIMIT
