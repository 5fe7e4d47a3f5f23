"""A certificate's claim, computed again from the votes that it states.

Independent of the code that made the certificate: exact rational probabilities and 50-digit arithmetic, not
float64 special functions, so that an error in one is found by the other.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from mpmath import mp

from contract.certificates import Certificate, Check, NoiseEvidence, Verification
from contract.choices import MemoryOutcome, NoiseKind

_DIGITS: Final = 50
_FIXED_POINT: Final = 160  # bits of the tail sum after the point
_TIGHT: Final = Fraction(1, 10**6)  # relative: how far a bound may be from the best one
_RADIUS_STEP: Final = 2e-6  # radii are rounded down to six decimals
_FLOAT_STEP: Final = Fraction(1, 10**15)


def verify_certificate(certificate: Certificate) -> Verification:
    """Recomputes bounds and radii. It proves the arithmetic, not that the votes were honestly drawn."""
    checks = list(_checks(certificate))
    return Verification(
        certificate_id=certificate.id, valid=all(check.passed for check in checks), checks=checks
    )


def _checks(certificate: Certificate) -> Iterator[Check]:
    if len(certificate.noise) != 1 or certificate.noise[0].noise is not NoiseKind.GAUSSIAN:
        yield Check(
            name="noise", passed=False, message="only one Gaussian noise can be verified by this version"
        )
        return
    evidence = certificate.noise[0]
    yield _votes(evidence)
    yield _classes(evidence)
    yield _alpha(certificate, evidence)
    yield _looks(certificate, evidence)
    if _usable(evidence):
        yield _p_lower(evidence)
        yield _p_upper(evidence)
        yield _radius(certificate, evidence)
    yield _label(certificate, evidence)


def _check(name: str, message: str, *conditions: bool) -> Check:
    return Check(name=name, passed=all(conditions), message=message)


def _votes(evidence: NoiseEvidence) -> Check:
    counted, selected = sum(evidence.counts), sum(evidence.selection_counts)
    return _check(
        "votes",
        f"the counts sum to {counted} and {selected}; 'n' = {evidence.n} and 'n0' = {evidence.n0} are stated",
        counted == evidence.n <= evidence.n_planned,
        selected == evidence.n0,
        min([*evidence.counts, *evidence.selection_counts], default=-1) >= 0,
        len(evidence.counts) == len(evidence.selection_counts),
    )


def _classes(evidence: NoiseEvidence) -> Check:
    top, runner_up = evidence.top_class, evidence.runner_up
    classes = range(len(evidence.counts))
    return _check(
        "classes",
        f"class {top} has the most selection votes, and {runner_up} the most estimation votes of the others",
        top in classes and evidence.selection_counts[top : top + 1] == [max(evidence.selection_counts)],
        _is_runner_up(evidence),
    )


def _is_runner_up(evidence: NoiseEvidence) -> bool:
    runner_up, most = evidence.runner_up, _largest_other(evidence)
    if runner_up is None:
        return most == 0
    named = runner_up in range(len(evidence.counts)) and runner_up != evidence.top_class
    return named and evidence.counts[runner_up] == most


def _alpha(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    spent = evidence.alpha_lower + evidence.alpha_upper
    return _check(
        "alpha",
        f"the bounds spend {spent:g} of {certificate.alpha_spent:g}; {certificate.alpha:g} was asked for",
        0 < evidence.alpha_lower < 0.5,
        0 <= evidence.alpha_upper < 0.5,
        spent <= certificate.alpha_spent * (1 + 1e-12),  # a sum of floats
        certificate.alpha_spent <= certificate.alpha * (1 + 1e-12),
    )


def _looks(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    """Bounds taken on the way hold at once only if what they may spend was set aside in advance."""
    votes = [look.n for look in evidence.looks]
    allowed = {look.n: look.alpha for look in evidence.looks}.get(evidence.n, 0.0)
    return _check(
        "looks",
        f"the look at {evidence.n} votes, one of {len(votes)}, may spend {allowed:g}",
        votes == sorted(set(votes)) and votes[-1:] == [evidence.n_planned],
        all(look.alpha > 0 for look in evidence.looks),
        sum(look.alpha for look in evidence.looks) <= certificate.alpha_spent * (1 + 1e-12),
        evidence.alpha_lower + evidence.alpha_upper <= allowed * (1 + 1e-12),
    )


def _usable(evidence: NoiseEvidence) -> bool:
    """Whether the bounds can be recomputed at all."""
    return (
        evidence.top_class in range(len(evidence.counts))
        and 0 < evidence.n == sum(evidence.counts)
        and min(evidence.counts) >= 0
        and 0 <= evidence.p_lower < 1
        and 0 < evidence.p_upper <= 1
        and evidence.dimension >= 1
    )


def _p_lower(evidence: NoiseEvidence) -> Check:
    votes = evidence.counts[evidence.top_class]
    stated = Fraction(evidence.p_lower)

    def holds(p: Fraction) -> bool:
        return p == 0 or _tail_at_most(evidence.n, votes, p, evidence.alpha_lower)

    better = stated * (1 + _TIGHT)
    return _check(
        "p_lower",
        f"{votes} of {evidence.n} votes bound the top class from below: {evidence.p_lower!r}",
        holds(stated),
        votes == 0 or better >= 1 or (stated > 0 and not holds(better)),
    )


def _p_upper(evidence: NoiseEvidence) -> Check:
    votes = _largest_other(evidence)
    stated = Fraction(evidence.p_upper)
    complement = 1 - Fraction(evidence.p_lower) - _FLOAT_STEP

    def holds(p: Fraction) -> bool:
        # At most `votes` votes at probability p are at least n − votes at 1 − p.
        return p >= complement or _tail_at_most(evidence.n, evidence.n - votes, 1 - p, evidence.alpha_upper)

    return _check(
        "p_upper",
        f"{votes} of {evidence.n} votes, or 1 - 'p_lower', bound the others from above: {evidence.p_upper!r}",
        holds(stated),
        not holds(stated * (1 - _TIGHT)),
    )


def _radius(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    limit = _gaussian_radius(evidence)
    limits = (limit, limit, limit / math.sqrt(evidence.dimension))
    stated = (certificate.radius.l2, certificate.radius.l1, certificate.radius.linf)
    if certificate.abstained:
        return _check("radius", f"an abstention claims no radius, got {stated[0]}", stated == (0, 0, 0))
    # The memory may leave less than the votes allow.
    clipped = certificate.memory.outcome in (MemoryOutcome.CLIPPED, MemoryOutcome.RELABELLED)
    return _check(
        "radius",
        f"the bounds allow an l2 radius of {float(limit):.7f}, {stated[0]} is stated",
        limit > 0,
        certificate.sigma == evidence.sigma > 0,
        all(0 <= got <= most for got, most in zip(stated, limits, strict=True)),
        clipped or all(got >= most - _RADIUS_STEP for got, most in zip(stated, limits, strict=True)),
    )


def _label(certificate: Certificate, evidence: NoiseEvidence) -> Check:
    label = certificate.label
    if certificate.abstained:
        return _check(
            "label",
            "an abstention has a reason and no label",
            label is None and certificate.agrees is None and certificate.abstain_reason is not None,
        )
    relabelled = certificate.memory.outcome is MemoryOutcome.RELABELLED
    return _check(
        "label",
        f"the label is the top class, {evidence.top_class}",
        label is not None and (relabelled or label.index == evidence.top_class),
        label is not None and certificate.agrees is (label.index == certificate.prediction.index),
    )


def _largest_other(evidence: NoiseEvidence) -> int:
    return max(
        (count for index, count in enumerate(evidence.counts) if index != evidence.top_class), default=0
    )


def _gaussian_radius(evidence: NoiseEvidence) -> Any:
    """σ/2 (Φ⁻¹(p_lower) − Φ⁻¹(p_upper))."""
    context = _precise()

    def quantile(p: float) -> Any:
        return context.sqrt(2) * context.erfinv(2 * context.mpf(p) - 1)

    return context.mpf(evidence.sigma) / 2 * (quantile(evidence.p_lower) - quantile(evidence.p_upper))


def _tail_at_most(n: int, k: int, p: Fraction, alpha: float) -> bool:
    """Whether P(Bin(n, p) ≥ k) ≤ alpha, for alpha < ½.

    The first term is computed from log-gamma; the others follow by exact ratios, summed in fixed point.
    """
    if k <= 0:
        return False
    if p <= 0:
        return True
    if p * n >= k:  # the median is at least ⌊np⌋ ≥ k, so the tail is at least ½
        return False
    context = _precise()
    odds = p / (1 - p)
    term = total = 1 << _FIXED_POINT
    successes = k
    while term and successes < n:
        term = term * (n - successes) * odds.numerator // ((successes + 1) * odds.denominator)
        total += term
        successes += 1
    log_ways = context.loggamma(n + 1) - context.loggamma(k + 1) - context.loggamma(n - k + 1)
    log_first = log_ways + k * _log(context, p) + (n - k) * _log(context, 1 - p)
    return bool(context.exp(log_first) * total / (1 << _FIXED_POINT) <= context.mpf(alpha))


def _log(context: Any, value: Fraction) -> Any:
    return context.log(context.mpf(value.numerator)) - context.log(context.mpf(value.denominator))


def _precise() -> Any:
    """A context of our own: the precision of the shared one belongs to every thread."""
    context = mp.clone()
    context.dps = _DIGITS
    return context
