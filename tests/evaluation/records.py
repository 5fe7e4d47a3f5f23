"""Records of certificates made by hand, for the tests of the tables."""

from contract.certificates import Radius
from evaluation.records import CertificateRecord, VoteSummary


def record(
    index: int,
    *,
    label: int = 0,
    predicted: int | None = 0,
    radius: float = 0.0,
    p_lower: float = 0.9,
    sigma: float = 0.5,
    seconds: float = 0.5,
) -> CertificateRecord:
    """A Gaussian certificate; its ℓ1 radius is the ℓ2 one and its ℓ∞ radius half of it, to be told apart."""
    votes = VoteSummary(
        noise="gaussian",
        n_drawn=1000,
        top_count=950,
        runner_up_count=50,
        p_lower=p_lower,
        p_upper=1 - p_lower,
    )
    return CertificateRecord(
        index=index,
        label=label,
        predicted=predicted,
        base_predicted=label,
        radius=Radius(l2=radius, l1=radius, linf=radius / 2),
        sigma=sigma,
        n=1000,
        alpha=0.001,
        votes=(votes,),
        backend="eager",
        dtype="float32",
        samples=1100,
        seconds=seconds,
    )


FOUR = (
    record(0, radius=1.0, p_lower=0.97),
    record(1, radius=0.25, p_lower=0.7),
    record(2, label=1, radius=0.75, p_lower=0.9),  # wrong
    record(3, predicted=None, p_lower=0.4),  # abstained
)
