"""Checks the votes under one noise: they add up, and the bounds and radii follow from them."""

from collections.abc import Iterator
from fractions import Fraction
from math import fsum
from typing import Final

from contract.certificates import Certificate, Check, NoiseEvidence
from contract.choices import Arithmetic, BoundKind, NoiseLevel, StopReason
from service.verification.exact import lattice_error, perfect_radius, radii, tail_at_most

_TIGHT: Final = Fraction(1, 10**6)  # relative: how far a bound may be from the best one
_FLOAT_STEP: Final = Fraction(1, 10**15)
RADIUS_STEP: Final = 2e-6  # radii are rounded down to six decimals
SUM_SLACK: Final = 1 + 1e-12  # of a sum of floats


def evidence_checks(certificate: Certificate, evidence: NoiseEvidence) -> Iterator[Check]:
    """Checks one noise."""
    yield _votes(evidence)
    yield _segments(evidence)
    yield _classes(evidence)
    yield _stop(certificate, evidence)
    yield _alpha(certificate, evidence)
    yield _looks(evidence)
    yield _level(certificate, evidence)
    yield (bounds := _bounds(evidence))
    if bounds.passed:
        exact = certificate.compute.arithmetic is Arithmetic.EXACT
        error = lattice_error(evidence.noise, evidence.sigma, evidence.dimension) if exact else Fraction(0)
        yield _p_lower(evidence, error)
        yield _p_upper(evidence, error)
        yield _radius(evidence)


def certifies(evidence: NoiseEvidence) -> bool:
    """Whether the bounds separate the top class from every other."""
    return evidence.p_lower > evidence.p_upper


def check(name: str, message: str, *conditions: bool) -> Check:
    """Makes a check that passes if all of its conditions hold."""
    return Check(name=name, passed=all(conditions), message=message)


def _votes(evidence: NoiseEvidence) -> Check:
    counted, selected = sum(evidence.counts), sum(evidence.selection_counts)
    return check(
        "votes",
        f"the counts sum to {counted} and {selected}; 'n' = {evidence.n} of {evidence.n_drawn} drawn and "
        f"{evidence.n_planned} planned, and 'n0' = {evidence.n0}, are stated",
        0 < counted == evidence.n <= evidence.n_drawn <= evidence.n_planned,
        0 < selected == evidence.n0,
        min([*evidence.counts, *evidence.selection_counts], default=-1) >= 0,
        len(evidence.counts) == len(evidence.selection_counts),
    )


def _segments(evidence: NoiseEvidence) -> Check:
    """Two segments from one random stream would be the same votes, counted twice."""
    segments = [*evidence.segments, *evidence.selection_segments]
    drawn = sum(segment.n for segment in evidence.segments)
    selected = sum(segment.n for segment in evidence.selection_segments)
    return check(
        "segments",
        f"{len(segments)} streams of the seed gave {drawn} votes and {selected} selection votes",
        drawn == evidence.n_drawn,
        selected == evidence.n0,
        all(segment.n > 0 and segment.batch_size > 0 and segment.stream for segment in segments),
        len({segment.stream for segment in segments}) == len(segments),
    )


def _classes(evidence: NoiseEvidence) -> Check:
    top, runner_up = evidence.top_class, evidence.runner_up
    return check(
        "classes",
        f"class {top} has the most selection votes, and {runner_up} the most estimation votes of the others",
        top in range(len(evidence.counts)),
        evidence.selection_counts[top : top + 1] == [max(evidence.selection_counts, default=0)],
        _is_runner_up(evidence),
    )


def _is_runner_up(evidence: NoiseEvidence) -> bool:
    runner_up, most = evidence.runner_up, _largest_other(evidence)
    if runner_up is None:
        return most == 0
    named = runner_up in range(len(evidence.counts)) and runner_up != evidence.top_class
    return named and evidence.counts[runner_up] == most


def _stop(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    reason = evidence.stop_reason
    about_target = reason in (StopReason.TARGET_REACHED, StopReason.TARGET_OUT_OF_REACH)
    return check(
        "stop",
        f"{evidence.n_drawn} of {evidence.n_planned} votes were made: {reason.value}",
        reason is not StopReason.COMPLETE or evidence.n_drawn == evidence.n_planned,
        not about_target or certificate.target_radius is not None,
        reason is not StopReason.HOPELESS or not certifies(evidence),
    )


def _alpha(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    spent = evidence.alpha_lower + evidence.alpha_upper
    one_sided = certificate.bound is BoundKind.ONE_SIDED
    return check(
        "alpha",
        f"the bounds spend {evidence.alpha_lower:g} and {evidence.alpha_upper:g} of {evidence.alpha:g}",
        0 < evidence.alpha_lower < 0.5,
        0 <= evidence.alpha_upper < 0.5,
        not one_sided or evidence.alpha_upper == 0,
        0 < spent <= evidence.alpha * SUM_SLACK,
        evidence.alpha <= certificate.alpha_spent * SUM_SLACK,
    )


def _looks(evidence: NoiseEvidence) -> Check:
    """Bounds at several looks hold together only if each look's alpha was fixed in advance."""
    votes = [look.n for look in evidence.looks]
    allowed = {look.n: look.alpha for look in evidence.looks}.get(evidence.n, 0.0)
    return check(
        "looks",
        f"the look at {evidence.n} votes, one of {len(votes)}, may spend {allowed:g}",
        votes == sorted(set(votes)) and votes[-1:] == [evidence.n_planned],
        all(look.alpha > 0 for look in evidence.looks),
        fsum(look.alpha for look in evidence.looks) <= evidence.alpha * SUM_SLACK,
        evidence.alpha_lower + evidence.alpha_upper <= allowed * SUM_SLACK,
    )


def _level(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    """A level that was chosen is one of those tried, and under `auto` the most promising of them."""
    trials, policy = evidence.trials, certificate.sigma_policy
    chosen = [trial for trial in trials if trial.sigma == evidence.sigma]
    best = max((trial.proxy_radius for trial in trials if trial.certifies), default=None)
    return check(
        "level",
        f"sigma {evidence.sigma:g} ({policy.value}), {len(trials)} levels tried",
        evidence.sigma > 0,
        bool(chosen) is bool(trials) is (policy is not NoiseLevel.FIXED),
        all(trial.n > 0 and trial.sigma > 0 and trial.proxy_radius >= 0 for trial in trials),
        policy is not NoiseLevel.AUTO
        or best is None
        or any(trial.certifies and trial.proxy_radius == best for trial in chosen),
    )


def _bounds(evidence: NoiseEvidence) -> Check:
    """The conditions under which bounds and radii can be recomputed."""
    return check(
        "bounds",
        f"the bounds {evidence.p_lower!r} and {evidence.p_upper!r} can be recomputed",
        evidence.top_class in range(len(evidence.counts)),
        0 < evidence.n == sum(evidence.counts) and min(evidence.counts) >= 0,
        0 <= evidence.p_lower < 1 and 0 < evidence.p_upper <= 1,
        0 < evidence.alpha < 0.5,
        evidence.n_planned >= 1 and evidence.dimension >= 1,
    )


def _p_lower(evidence: NoiseEvidence, error: Fraction) -> Check:
    """Of the law that is stated, from votes under the law that was drawn: the error is on the safe side."""
    votes = evidence.counts[evidence.top_class]
    stated = Fraction(evidence.p_lower) and Fraction(evidence.p_lower) + error

    def holds(p: Fraction) -> bool:
        return p == 0 or tail_at_most(evidence.n, votes, p, evidence.alpha_lower)

    better = stated * (1 + _TIGHT)
    return check(
        "p_lower",
        f"{votes} of {evidence.n} votes bound the top class from below: {evidence.p_lower!r}",
        holds(stated),
        votes == 0 or better >= 1 or (stated > 0 and not holds(better)),
    )


def _p_upper(evidence: NoiseEvidence, error: Fraction) -> Check:
    votes = _largest_other(evidence)
    stated = min(Fraction(1), Fraction(evidence.p_upper)) - error
    complement = 1 - Fraction(evidence.p_lower) - error - _FLOAT_STEP

    def holds(p: Fraction) -> bool:
        # At most `votes` votes at probability p are at least n − votes at 1 − p.
        return p >= complement or tail_at_most(evidence.n, evidence.n - votes, 1 - p, evidence.alpha_upper)

    return check(
        "p_upper",
        f"{votes} of {evidence.n} votes, or 1 - 'p_lower', bound the others from above: {evidence.p_upper!r}",
        holds(stated),
        not holds(stated * (1 - _TIGHT)),
    )


def _radius(evidence: NoiseEvidence) -> Check:
    limits = radii(evidence.noise, evidence.sigma, evidence.p_lower, evidence.p_upper, evidence.dimension)
    radius = evidence.radius
    stated = (radius.l2, radius.l1, radius.linf)
    own = radius.of(evidence.noise)
    most = perfect_radius(
        evidence.noise, evidence.sigma, evidence.n_planned, evidence.alpha, evidence.dimension
    )
    return check(
        "proved_radius",
        f"the bounds allow {float(limits[0]):.7f} in l2 and {float(limits[1]):.7f} in l1, "
        f"{radius.l2} and {radius.l1} are stated",
        all(0 <= got <= exact for got, exact in zip(stated, limits, strict=True)),
        all(got >= exact - RADIUS_STEP for got, exact in zip(stated, limits, strict=True)),
        own - RADIUS_STEP <= evidence.radius_limit <= most,
        own >= 0,
    )


def _largest_other(evidence: NoiseEvidence) -> int:
    return max(
        (count for index, count in enumerate(evidence.counts) if index != evidence.top_class), default=0
    )
