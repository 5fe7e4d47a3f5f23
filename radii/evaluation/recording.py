"""From a certificate, as the service states it, to the record that tables are made from."""

from contract.certificates import Certificate, NoiseEvidence, Radius
from evaluation.certificates.records import CertificateRecord, CertifiedRadii, VoteSummary


def record_of(certificate: Certificate, index: int, label: int) -> CertificateRecord:
    """Return what tables need of a certificate.

    Args:
        certificate: Of one test image.
        index: The image's position in the test split.
        label: Its true class.
    """
    same = certificate.same_class_radius
    return CertificateRecord(
        index=index,
        label=label,
        predicted=None if certificate.label is None else certificate.label.index,
        base_predicted=certificate.prediction.index,
        radius=_radii(certificate.radius),
        same_class_radius=None if same is None else _radii(same),
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


def _radii(radius: Radius) -> CertifiedRadii:
    return CertifiedRadii(l2=radius.l2, l1=radius.l1, linf=radius.linf)


def _votes(evidence: NoiseEvidence) -> VoteSummary:
    second = evidence.runner_up
    return VoteSummary(
        noise=evidence.noise.value,
        sigma=evidence.sigma,
        n0=evidence.n0,
        n=evidence.n,
        n_drawn=evidence.n_drawn,
        top_class=evidence.top_class,
        top_count=evidence.counts[evidence.top_class],
        runner_up=second,
        runner_up_count=0 if second is None else evidence.counts[second],
        p_lower=evidence.p_lower,
        p_upper=evidence.p_upper,
        statistics_digest=evidence.statistics_digest,
    )
