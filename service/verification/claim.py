"""Checks what a certificate claims as a whole against what each of its noises proves."""

import hashlib
from collections.abc import Iterator
from math import fsum

from contract.certificates import Certificate, Check, NoiseEvidence
from contract.choices import AbstainReason, MemoryOutcome
from service.verification.evidence import RADIUS_STEP, SUM_SLACK, certifies, check
from service.verification.remembered import NOTHING, combined, memory_check, radius_limits, within


def claim_checks(certificate: Certificate) -> Iterator[Check]:
    """Checks the label, the radii and everything else that is stated once for all noises."""
    yield _spent(certificate)
    yield _together(certificate)
    yield _adaptation(certificate)
    yield _radius(certificate)
    yield _same_class_radius(certificate)
    yield _label(certificate)
    yield memory_check(certificate)
    yield _target(certificate)


def _spent(certificate: Certificate) -> Check:
    shares = fsum(evidence.alpha for evidence in certificate.noise)
    return check(
        "alpha_spent",
        f"the noises spend {shares:g} of {certificate.alpha_spent:g}; {certificate.alpha:g} was requested",
        shares <= certificate.alpha_spent * SUM_SLACK,
        certificate.alpha_spent <= certificate.alpha * SUM_SLACK,
        0 < certificate.alpha < 0.5,
    )


def _together(certificate: Certificate) -> Check:
    first = certificate.noise[0]
    return check(
        "together",
        f"the noises are about {len(first.counts)} classes and {first.dimension} coordinates each, and the "
        f"first one's level is {certificate.sigma:g}",
        certificate.sigma == first.sigma,
        all(len(evidence.counts) == len(first.counts) for evidence in certificate.noise),
        all(evidence.dimension == first.dimension for evidence in certificate.noise),
    )


def _adaptation(certificate: Certificate) -> Check:
    """The votes use the named statistics, or the model's own."""
    adaptation = certificate.adaptation
    digests = [evidence.statistics_digest for evidence in certificate.noise]
    stated = (adaptation.momentum, adaptation.clean_size, adaptation.statistics_digest)
    if not adaptation.used:
        message = "the model's own statistics were used, and no others are named"
        return check("adaptation", message, stated == (None,) * 3, not any(digests))
    named = [digest for digest in digests if digest is not None]
    together = hashlib.sha256("".join(named).encode()).hexdigest() if len(named) > 1 else "".join(named)
    return check(
        "adaptation",
        f"statistics {adaptation.statistics_digest} belong to every noise",
        adaptation.momentum is not None and 0 < adaptation.momentum <= 1,
        adaptation.clean_size is not None and adaptation.clean_size >= 2,
        len(named) == len(digests),
        adaptation.statistics_digest == together != "",
    )


def _disagree(certificate: Certificate) -> bool:
    """Whether two noises certify different classes."""
    return len({evidence.top_class for evidence in certificate.noise if certifies(evidence)}) > 1


def _winners(certificate: Certificate) -> list[NoiseEvidence]:
    """The noises whose label and radii count; none if they contradict each other."""
    if _disagree(certificate):
        return []
    return [evidence for evidence in certificate.noise if certifies(evidence)]


def _radius(certificate: Certificate) -> Check:
    """With two noises the larger radius counts: inside either ball, no other class is possible."""
    winners = [evidence.radius for evidence in _winners(certificate)]
    proved = combined(max, winners) if winners else NOTHING
    stated, (least, most) = certificate.radius, radius_limits(certificate, proved)
    return check(
        "radius",
        f"{len(winners)} of {len(certificate.noise)} noises prove {proved.l2} in l2 and {proved.l1} in l1, "
        f"with the memory {most.l2} and {most.l1} may be claimed, {stated.l2} and {stated.l1} are stated",
        within(least, stated, most),
    )


def _same_class_radius(certificate: Certificate) -> Check:
    """The classifier cannot abstain only where both noises certify: the smaller radius counts.

    Votes certify their own class, not one that comes from the memory.
    """
    stated, outcome = certificate.same_class_radius, certificate.memory.outcome
    if len(certificate.noise) == 1:
        return check("same_class_radius", "one noise needs no second radius", stated is None)
    winners = [evidence.radius for evidence in _winners(certificate)]
    both = len(winners) == len(certificate.noise) and outcome is not MemoryOutcome.RELABELLED
    proved = combined(min, winners) if both else NOTHING
    if outcome is MemoryOutcome.OFF:
        least = most = proved
    else:
        least, most = NOTHING, combined(min, [proved, certificate.radius])
    return check(
        "same_class_radius",
        f"{len(winners)} of {len(certificate.noise)} noises keep the class within {most.l2} in l2",
        stated is not None and within(least, stated, most),
    )


def _label(certificate: Certificate) -> Check:
    winners, outcome = _winners(certificate), certificate.memory.outcome
    if outcome is MemoryOutcome.NONE or not (winners or outcome is MemoryOutcome.RELABELLED):
        return _abstention(certificate)
    label, prediction = certificate.label, certificate.prediction
    named = label is not None and (label.name == prediction.name) is (label.index == prediction.index)
    top_class = winners[0].top_class if winners else None
    index = None if label is None else label.index
    if outcome is MemoryOutcome.RELABELLED:
        message = f"the label is the memory's, {index}, where the votes' class is {top_class}"
        follows = index != top_class and index in range(len(certificate.noise[0].counts))
    else:
        message = f"the label is the top class, {top_class}"
        follows = index == top_class
    return check(
        "label",
        message,
        not certificate.abstained and certificate.abstain_reason is None,
        label is not None and follows and named,
        label is not None and certificate.agrees is (label.index == prediction.index),
    )


def _abstention(certificate: Certificate) -> Check:
    return check(
        "label",
        f"no class is certified: an abstention, for the reason {certificate.abstain_reason}",
        certificate.abstained,
        certificate.label is None and certificate.agrees is None and certificate.correct is not True,
        certificate.abstain_reason in _reasons(certificate),
    )


def _reasons(certificate: Certificate) -> set[AbstainReason]:
    if _disagree(certificate):
        return {AbstainReason.BRANCHES_DISAGREE}
    trials = [trial for evidence in certificate.noise for trial in evidence.trials]
    if trials and not any(trial.certifies for trial in trials):
        return {AbstainReason.NO_NOISE_LEVEL_CERTIFIES, AbstainReason.TOP_CLASS_NOT_SEPARATED}
    return {AbstainReason.TOP_CLASS_NOT_SEPARATED}


def _target(certificate: Certificate) -> Check:
    target, decision = certificate.target_radius, certificate.target_certified
    if target is None:
        return check("target", "no target radius was requested", decision is None)
    kind = certificate.noise_kind
    radius = certificate.radius.of(kind)
    # The decision was made before the radius was rounded down.
    near = not certificate.abstained and abs(radius - target) <= RADIUS_STEP
    return check(
        "target",
        f"the {kind.norm} radius {radius} is compared with the target {target}",
        target > 0,
        decision is not None and (near or decision is (radius >= target)),
    )
