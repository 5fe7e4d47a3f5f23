"""What one measurement leaves: a row of JSON, or the record of one certificate."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, FiniteFloat

from contract.certificates import Certificate, NoiseEvidence, Radius

Row = Mapping[str, Any]
"""What a suite measured at once, as JSON."""

Norm = str
"""``l2``, ``l1`` or ``linf``."""

NORMS: tuple[Norm, ...] = ("l2", "l1", "linf")


class VoteSummary(BaseModel, frozen=True):
    """The votes under one noise and their bounds; a hybrid certificate has two of these.

    Attributes:
        noise: the kind of noise.
        n_drawn: estimation votes in all.
        top_count: votes for the class that the selection votes chose.
        runner_up_count: votes for the other class with most of them.
        p_lower, p_upper: bounds on the top class's probability and on every other one's.
    """

    noise: str
    n_drawn: int
    top_count: int
    runner_up_count: int
    p_lower: FiniteFloat
    p_upper: FiniteFloat


class CertificateRecord(BaseModel, frozen=True):
    """The certificate of one test image.

    Attributes:
        index: position in the test split.
        label: the true class.
        predicted: the smoothed classifier's class; None where it abstains.
        base_predicted: the class that the base classifier gives without noise.
        radius: within it no perturbation makes another class of the answer.
        same_class_radius: for a hybrid, within it the answer is not lost to abstention either.
        sigma: noise level; of the first noise, for a hybrid.
        policy: how the level was chosen: ``fixed``, ``auto`` or ``optimize``.
        n, alpha, bound: votes planned, failure probability and kind of bound that were asked for.
        adapted: whether batch-norm statistics were re-estimated under the noise.
        votes: of each noise.
        backend, dtype: what executed the classifier, in which precision.
        samples, seconds: noisy copies classified, choosing the level included, and the time that took.
    """

    index: int
    label: int
    predicted: int | None
    base_predicted: int
    radius: Radius
    same_class_radius: Radius | None = None
    sigma: float
    policy: str = "fixed"
    n: int
    alpha: float
    bound: str = "two_sided"
    adapted: bool = False
    votes: tuple[VoteSummary, ...] = ()
    backend: str = ""
    dtype: str = ""
    samples: int = 0
    seconds: float = 0.0

    @property
    def abstained(self) -> bool:
        """Whether nothing is claimed."""
        return self.predicted is None

    @property
    def correct(self) -> bool:
        """Whether the smoothed classifier gives the true class; an abstention is not correct."""
        return self.predicted == self.label

    def certified_radius(self, norm: Norm) -> float:
        """Return the radius that counts in averages: 0 where the answer is wrong or missing."""
        return float(getattr(self.radius, norm)) if self.correct else 0.0

    def same_class_certified_radius(self, norm: Norm) -> float:
        """Return the same of the radius within which a hybrid's answer is not lost to abstention either."""
        same = self.radius if self.same_class_radius is None else self.same_class_radius
        return float(getattr(same, norm)) if self.correct else 0.0


def record_of(certificate: Certificate, index: int, label: int) -> CertificateRecord:
    """Return what tables need of a certificate.

    Args:
        certificate: Of one test image.
        index: The image's position in the test split.
        label: Its true class.
    """
    return CertificateRecord(
        index=index,
        label=label,
        predicted=None if certificate.label is None else certificate.label.index,
        base_predicted=certificate.prediction.index,
        radius=certificate.radius,
        same_class_radius=certificate.same_class_radius,
        sigma=certificate.sigma,
        policy=certificate.sigma_policy.value,
        n=certificate.noise[0].n_planned,
        alpha=certificate.alpha,
        bound=certificate.bound.value,
        adapted=certificate.adaptation.used,
        votes=tuple(_votes(evidence) for evidence in certificate.noise),
        backend=certificate.compute.backend,
        dtype=certificate.compute.dtype,
        samples=certificate.compute.samples,
        seconds=certificate.compute.seconds,
    )


def _votes(evidence: NoiseEvidence) -> VoteSummary:
    second = evidence.runner_up
    return VoteSummary(
        noise=evidence.noise.value,
        n_drawn=evidence.n_drawn,
        top_count=evidence.counts[evidence.top_class],
        runner_up_count=0 if second is None else evidence.counts[second],
        p_lower=evidence.p_lower,
        p_upper=evidence.p_upper,
    )
