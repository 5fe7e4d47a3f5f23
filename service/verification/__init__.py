"""Recomputes a certificate's claim from the votes it states.

Independent of the code that made the certificate: exact rational probabilities and 50-digit arithmetic, not
float64 special functions, so that an error in one is found by the other.
"""

from collections.abc import Iterator
from typing import Final

from contract.certificates import Certificate, Check, Verification
from contract.choices import NoiseKind
from service.verification.claim import claim_checks
from service.verification.evidence import evidence_checks

_KINDS: Final = (
    [NoiseKind.GAUSSIAN],
    [NoiseKind.UNIFORM],
    [NoiseKind.GAUSSIAN, NoiseKind.UNIFORM],  # hybrid
)


def verify_certificate(certificate: Certificate) -> Verification:
    """Recomputes bounds and radii. This proves the arithmetic, not that the votes were drawn honestly."""
    checks = list(_checks(certificate))
    return Verification(
        certificate_id=certificate.id, valid=all(check.passed for check in checks), checks=checks
    )


def _checks(certificate: Certificate) -> Iterator[Check]:
    kinds = [evidence.noise for evidence in certificate.noise]
    if kinds not in _KINDS:
        message = (
            f"gaussian, uniform, or both in this order can be verified, got {', '.join(kinds) or 'none'}"
        )
        yield Check(name="noise", passed=False, message=message)
        return
    for evidence in certificate.noise:
        of_noise = f" of {evidence.noise}" if len(kinds) > 1 else ""
        for check in evidence_checks(certificate, evidence):
            yield check.model_copy(update={"name": check.name + of_noise})
    yield from claim_checks(certificate)
