"""What a certificate claims on top, against what its noises prove."""

import hashlib
from collections.abc import Callable, Iterator
from math import fsum

from contract.certificates import Certificate, Check, NoiseEvidence, Radius
from contract.choices import AbstainReason, MemoryOutcome, NoiseKind
from service.verification.evidence import RADIUS_STEP, SUM_SLACK, certifies, check

_NOTHING = Radius(l2=0, l1=0, linf=0)


def claim_checks(certificate: Certificate) -> Iterator[Check]:
    """Checks the label, the radii and the rest of what is stated once for all noises."""
    yield _spent(certificate)
    yield _together(certificate)
    yield _adaptation(certificate)
    yield _radius(certificate)
    yield _same_class_radius(certificate)
    yield _label(certificate)
    yield _target(certificate)


def _spent(certificate: Certificate) -> Check:
    shares = fsum(evidence.alpha for evidence in certificate.noise)
    return check(
        "alpha_spent",
        f"the noises spend {shares:g} of {certificate.alpha_spent:g}; {certificate.alpha:g} was asked for",
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
    """The votes were made with the statistics that are named, or with the model's own."""
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
    """Whether two noises certify, each another class."""
    return len({evidence.top_class for evidence in certificate.noise if certifies(evidence)}) > 1


def _winners(certificate: Certificate) -> list[NoiseEvidence]:
    """Those whose label and radii count: none when they contradict each other."""
    if _disagree(certificate):
        return []
    return [evidence for evidence in certificate.noise if certifies(evidence)]


def _combined(radii: list[Radius], choose: Callable[[list[float]], float]) -> Radius:
    return Radius(
        l2=choose([radius.l2 for radius in radii]),
        l1=choose([radius.l1 for radius in radii]),
        linf=choose([radius.linf for radius in radii]),
    )


def _follows(certificate: Certificate, stated: Radius, proved: Radius) -> bool:
    """Whether the radius is what was proved; the memory may leave less."""
    if certificate.memory.outcome in (MemoryOutcome.CLIPPED, MemoryOutcome.RELABELLED):
        pairs = ((stated.l2, proved.l2), (stated.l1, proved.l1), (stated.linf, proved.linf))
        return all(0 <= got <= most for got, most in pairs)
    return stated == proved


def _radius(certificate: Certificate) -> Check:
    """With two noises the larger counts: inside either ball, no other class can be answered."""
    winners = [evidence.radius for evidence in _winners(certificate)]
    proved = _combined(winners, max) if winners else _NOTHING
    return check(
        "radius",
        f"{len(winners)} of {len(certificate.noise)} noises allow {proved.l2} in l2 and {proved.l1} in l1, "
        f"{certificate.radius.l2} and {certificate.radius.l1} are stated",
        _follows(certificate, certificate.radius, proved),
    )


def _same_class_radius(certificate: Certificate) -> Check:
    """Only where both noises hold can neither be lost: the smaller counts, or nothing at all."""
    stated = certificate.same_class_radius
    if len(certificate.noise) == 1:
        return check("same_class_radius", "one noise needs no second radius", stated is None)
    winners = [evidence.radius for evidence in _winners(certificate)]
    proved = _combined(winners, min) if len(winners) == len(certificate.noise) else _NOTHING
    return check(
        "same_class_radius",
        f"{len(winners)} of {len(certificate.noise)} noises keep the class within {proved.l2} in l2",
        stated is not None and _follows(certificate, stated, proved),
    )


def _label(certificate: Certificate) -> Check:
    winners = _winners(certificate)
    if not winners:
        return _abstention(certificate)
    label, prediction = certificate.label, certificate.prediction
    relabelled = certificate.memory.outcome is MemoryOutcome.RELABELLED
    return check(
        "label",
        f"the label is the top class, {winners[0].top_class}",
        not certificate.abstained and certificate.abstain_reason is None,
        label is not None and (relabelled or label.index == winners[0].top_class),
        label is not None and certificate.agrees is (label.index == prediction.index),
        label is not None and (label.name == prediction.name) is (label.index == prediction.index),
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
        return check("target", "no radius was asked about", decision is None)
    uniform = [evidence.noise for evidence in certificate.noise] == [NoiseKind.UNIFORM]
    norm = "l1" if uniform else "l2"
    radius = certificate.radius.l1 if uniform else certificate.radius.l2
    # It was decided before the radius was rounded down.
    near = not certificate.abstained and abs(radius - target) <= RADIUS_STEP
    return check(
        "target",
        f"the {norm} radius {radius} is held against the target {target}",
        target > 0,
        decision is not None and (near or decision is (radius >= target)),
    )
