"""The checks of a certificate, against SciPy's bounds and against tampering."""

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contract.certificates import Certificate
from contract.choices import MemoryOutcome
from service.verification import _tail_at_most, verify_certificate

Make = Callable[..., Certificate]


def failed(certificate: Certificate) -> list[str]:
    """The names of the checks that a certificate does not pass."""
    verification = verify_certificate(certificate)
    assert verification.valid == all(check.passed for check in verification.checks)
    return [check.name for check in verification.checks if not check.passed]


def tamper(certificate: Certificate, **evidence: Any) -> Certificate:
    """Changes the evidence."""
    stated = certificate.noise[0]
    changed = type(stated).model_validate({**stated.model_dump(), **evidence})
    return certificate.model_copy(update={"noise": [changed]})


def claim(certificate: Certificate, **radius: float) -> Certificate:
    """Changes the claim."""
    return certificate.model_copy(update={"radius": certificate.radius.model_copy(update=radius)})


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize(
    "counts",
    [
        (9_000, 700, 300),
        (99_999, 1, 0),
        (100_000, 0, 0),
        (55_000, 45_000, 0),
        (40_000, 30_000, 30_000),  # below one half, yet certified by the two-sided bound
        (10, 0, 0),
        (4_000_000, 3_000_000, 3_000_000),
    ],
)
def test_true_certificates_pass(certificate: Make, counts: tuple[int, ...], one_sided: bool) -> None:
    """Bounds and quantiles from SciPy."""
    made = certificate(counts=counts, one_sided=one_sided)
    assert failed(made) == []


@pytest.mark.parametrize("counts", [(5_000, 5_000, 0), (0, 10_000, 0), (300, 400, 300)])
def test_abstentions_pass(certificate: Make, counts: tuple[int, ...]) -> None:
    """They claim nothing, and say so."""
    made = certificate(counts=counts)
    assert made.abstained
    assert failed(made) == []


@pytest.mark.parametrize("norm", ["l2", "l1", "linf"])
@pytest.mark.parametrize("change", [1e-4, 1e-6, -1e-4])
def test_another_radius_fails(certificate: Make, norm: str, change: float) -> None:
    """Too large is wrong; too small is not what the votes say."""
    made = certificate()
    assert failed(claim(made, **{norm: getattr(made.radius, norm) + change + (change > 0) * 1e-6})) == [
        "radius"
    ]


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        ({"counts": [9_001, 699, 300]}, "p_lower"),
        ({"counts": [9_000, 701, 299]}, "p_upper"),
        ({"counts": [9_001, 700, 300]}, "votes"),
        ({"counts": [10_001, 0, -1]}, "votes"),
        ({"n": 20_000}, "votes"),
        ({"n_planned": 5_000}, "votes"),
        ({"n0": 99}, "votes"),
        ({"selection_counts": [40, 60, 0]}, "classes"),
        ({"top_class": 1}, "classes"),
        ({"top_class": 7}, "classes"),
        ({"top_class": -1}, "classes"),
        ({"runner_up": 2}, "classes"),
        ({"runner_up": 0}, "classes"),
        ({"runner_up": None}, "classes"),
        ({"alpha_lower": 0.002}, "alpha"),
        ({"alpha_lower": 0.0}, "alpha"),
        ({"alpha_upper": 0.01}, "alpha"),
        ({"looks": []}, "looks"),
        ({"looks": [{"n": 10_000, "alpha": 0.0001}]}, "looks"),
        ({"looks": [{"n": 5_000, "alpha": 0.001}, {"n": 10_000, "alpha": 0.001}]}, "looks"),
        ({"looks": [{"n": 10_000, "alpha": 0.001}, {"n": 10_001, "alpha": 0.0}]}, "looks"),
        ({"sigma": 1.0}, "radius"),
        ({"dimension": 1000}, "radius"),
    ],
)
def test_other_evidence_fails(certificate: Make, evidence: dict[str, Any], name: str) -> None:
    """The certificate's numbers belong together."""
    assert name in failed(tamper(certificate(), **evidence))


@pytest.mark.parametrize("factor", [1 + 1e-5, 1 - 1e-5])
@pytest.mark.parametrize("name", ["p_lower", "p_upper"])
def test_another_bound_fails(certificate: Make, name: str, factor: float) -> None:
    """One direction would be unsound, the other is not the bound that these votes give."""
    made = certificate()
    assert name in failed(tamper(made, **{name: getattr(made.noise[0], name) * factor}))


def test_selection_tie_may_go_either_way(certificate: Make) -> None:
    assert failed(tamper(certificate(), selection_counts=[50, 50, 0])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"label": None},
        {"label": {"index": 1, "name": "digit 1"}},
        {"agrees": False},
        {"prediction": {"index": 1, "name": "digit 1"}},
    ],
)
def test_another_label_fails(certificate: Make, changes: dict[str, Any]) -> None:
    fields = certificate().model_dump() | changes
    assert failed(Certificate.model_validate(fields)) == ["label"]


def test_abstention_with_a_radius_fails(certificate: Make) -> None:
    made = certificate(counts=(5_000, 5_000, 0))
    assert failed(claim(made, l2=0.1)) == ["radius"]
    assert failed(made.model_copy(update={"abstain_reason": None})) == ["label"]


def test_claim_without_separation_fails(certificate: Make) -> None:
    """An abstention dressed up as a certificate."""
    fields = certificate(counts=(5_000, 5_000, 0)).model_dump()
    fields |= {"abstained": False, "abstain_reason": None, "agrees": True, "label": fields["prediction"]}
    assert failed(Certificate.model_validate(fields)) == ["radius"]


def test_memory_may_leave_less(certificate: Make) -> None:
    """But never more."""
    made = certificate()
    clipped = made.memory.model_copy(update={"outcome": MemoryOutcome.CLIPPED})
    made = made.model_copy(update={"memory": clipped})
    assert failed(claim(made, l2=0.1, l1=0.1, linf=0.001)) == []
    assert failed(claim(made, l2=9.0)) == ["radius"]


def test_other_noise_is_not_vouched_for(certificate: Make) -> None:
    """A certificate that this version cannot check is not called valid."""
    assert failed(tamper(certificate(), noise="uniform")) == ["noise"]
    assert failed(certificate().model_copy(update={"noise": []})) == ["noise"]


def test_it_takes_little_time(certificate: Make) -> None:
    """50 ms for 100 000 votes."""
    made = certificate(counts=(60_000, 39_000, 1_000))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        verify_certificate(made)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 20_000),
    share=st.floats(0, 1),
    p=st.floats(0, 1),
    alpha=st.floats(1e-9, 0.49),
)
def test_tail_agrees_with_scipy(n: int, share: float, p: float, alpha: float) -> None:
    """`scipy.stats.binom.sf`, except where float64 cannot tell."""
    k = round(share * n)
    tail = float(stats.binom.sf(k - 1, n, p))
    if abs(tail - alpha) > 1e-9 * alpha:
        assert _tail_at_most(n, k, Fraction(p), alpha) == (tail <= alpha)
