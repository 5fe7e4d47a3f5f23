"""The checks of a certificate, against SciPy's bounds and against tampering."""

import timeit
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from contract.certificates import Certificate, NoiseEvidence
from contract.choices import NoiseKind
from service.verification import verify_certificate
from service.verification.exact import radii, tail_at_most
from tests.properties import examples
from tests.service.examples import (
    adapted,
    changed,
    chosen,
    disagreeing,
    make_certificate,
    restated,
    stopped,
)

NOTHING = {"l2": 0.0, "l1": 0.0, "linf": 0.0}
HALF = (5_000, 5_000, 0)
NOISES = ("gaussian", "uniform", "hybrid")


def failed(certificate: Certificate) -> list[str]:
    """The names of the checks that a certificate does not pass."""
    verification = verify_certificate(certificate)
    assert verification.valid == all(check.passed for check in verification.checks)
    names = [check.name for check in verification.checks]
    assert len(set(names)) == len(names)
    return [check.name for check in verification.checks if not check.passed]


def claim(certificate: Certificate, **radius: float) -> Certificate:
    """Changes the claim, and the evidence's radius with it."""
    stated = certificate.noise[0].radius.model_dump() | radius
    return restated(changed(certificate, radius=stated), radius=certificate.radius.model_dump() | radius)


def hybrid(counts: tuple[int, ...] = (9_000, 700, 300), **fields: Any) -> Certificate:
    return make_certificate(counts=counts, noise="hybrid", **fields)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize(
    "counts",
    [
        (9_000, 700, 300),
        (99_999, 1, 0),
        (100_000, 0, 0),
        (55_000, 45_000, 0),
        (40_000, 30_000, 30_000),  # below one half, yet certified by the two-sided bound
        (20, 0, 0),
        (4_000_000, 3_000_000, 3_000_000),
    ],
)
def test_true_certificates_pass(counts: tuple[int, ...], one_sided: bool, noise: str) -> None:
    """Bounds and quantiles from SciPy."""
    assert failed(make_certificate(counts=counts, noise=noise, one_sided=one_sided)) == []


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
@pytest.mark.parametrize("counts", [HALF, (0, 10_000, 0), (300, 400, 300)])
def test_abstentions_pass(counts: tuple[int, ...], noise: str) -> None:
    """They claim nothing, and say so."""
    made = make_certificate(counts=counts, noise=noise)
    assert made.abstained
    assert failed(made) == []


@pytest.mark.parametrize(
    ("counts", "uniform_counts", "abstained"),
    [(HALF, (9_000, 700, 300), False), ((9_000, 700, 300), HALF, False), (HALF, HALF, True)],
)
def test_hybrid_of_which_a_noise_abstains(
    counts: tuple[int, ...], uniform_counts: tuple[int, ...], abstained: bool
) -> None:
    """The other's radii count; the class itself may be lost at once."""
    made = hybrid(counts, uniform_counts=uniform_counts)
    assert made.abstained is abstained
    assert made.same_class_radius is not None
    assert made.same_class_radius.l2 == 0
    assert failed(made) == []
    assert failed(restated(made, same_class_radius=None)) == ["same_class_radius"]
    assert failed(restated(made, same_class_radius=NOTHING | {"l1": 0.01})) == ["same_class_radius"]


def test_hybrid_whose_noises_disagree() -> None:
    """It abstains, and says why; neither class may be answered."""
    made = disagreeing()
    assert failed(made) == []
    assert failed(restated(made, abstain_reason="top_class_not_separated")) == ["label"]
    bold = {"abstained": False, "abstain_reason": None, "agrees": True, "label": made.prediction.model_dump()}
    assert failed(restated(made, **bold)) == ["label"]
    assert failed(restated(made, radius=NOTHING | {"l2": 0.01})) == ["radius"]
    assert failed(restated(made, same_class_radius=NOTHING | {"l2": 0.01})) == ["same_class_radius"]


def test_hybrid_takes_the_larger_radius_and_states_the_smaller() -> None:
    """In each norm by itself."""
    made = hybrid()
    gaussian, uniform = (evidence.radius for evidence in made.noise)
    assert made.same_class_radius is not None
    assert (made.radius.l2, made.radius.l1) == (gaussian.l2, uniform.l1)
    assert (made.same_class_radius.l2, made.same_class_radius.l1) == (uniform.l2, gaussian.l1)
    assert failed(restated(made, same_class_radius=made.radius.model_dump())) == ["same_class_radius"]
    assert failed(restated(made, radius=made.same_class_radius.model_dump())) == ["radius"]
    assert failed(restated(make_certificate(), same_class_radius=NOTHING)) == ["same_class_radius"]


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
@pytest.mark.parametrize("norm", ["l2", "l1", "linf"])
@pytest.mark.parametrize("change", [1e-4, 1e-6, -1e-4])
def test_another_radius_fails(norm: str, change: float, noise: str) -> None:
    """Too large is wrong; too small is not what the votes say."""
    made = make_certificate(noise=noise)
    wrong = getattr(made.radius, norm) + change + (change > 0) * 1e-6
    assert failed(claim(made, **{norm: wrong})) == ["proved_radius"]
    assert failed(restated(made, radius=made.radius.model_dump() | {norm: wrong})) == ["radius"]


# Of a certificate from the first of two looks, at a level chosen from a grid, with re-estimated statistics.
LOOK, LAST = {"n": 10_000, "alpha": 0.001}, {"n": 100_000, "alpha": 0.0005}
DRAWN, SELECTED = (
    {"stream": stream, "n": n, "batch_size": 64} for stream, n in (("estimation", 10_000), ("selection", 100))
)
TRIAL = {"sigma": 0.5, "certifies": True, "proxy_radius": 0.61, "n": 1000}
EVIDENCE: list[tuple[str, Any, str]] = [
    ("counts", [9_001, 699, 300], "p_lower"),
    ("counts", [9_000, 701, 299], "p_upper"),
    ("counts", [9_001, 700, 300], "votes"),
    ("counts", [10_001, 0, -1], "votes"),
    ("counts", [0, 0, 0], "votes"),
    ("counts", [], "votes"),
    ("n", 20_000, "votes"),
    ("n", 9_999, "looks"),
    ("n_drawn", 9_999, "votes"),
    ("n_drawn", 10_001, "segments"),
    ("n_drawn", 100_001, "votes"),
    ("n_planned", 5_000, "votes"),
    ("n_planned", 20_000, "looks"),
    ("n_planned", 0, "votes"),
    ("stop_reason", "complete", "stop"),
    ("stop_reason", "target_reached", "stop"),
    ("stop_reason", "target_out_of_reach", "stop"),
    ("stop_reason", "hopeless", "stop"),
    ("n0", 99, "votes"),
    ("segments", [], "segments"),
    ("segments", [DRAWN | {"n": 9_999}], "segments"),
    ("segments", [DRAWN | {"n": 5_000}, DRAWN | {"n": 5_000}], "segments"),
    ("segments", [DRAWN | {"stream": "selection"}], "segments"),
    ("segments", [DRAWN | {"stream": ""}], "segments"),
    ("segments", [DRAWN | {"batch_size": 0}], "segments"),
    ("segments", [DRAWN, DRAWN | {"stream": "estimation/1", "n": 0}], "segments"),
    ("selection_segments", [], "segments"),
    ("selection_segments", [SELECTED | {"n": 99}], "segments"),
    ("selection_counts", [40, 60, 0], "classes"),
    ("selection_counts", [101, 0, -1], "votes"),
    ("selection_counts", [100, 0], "votes"),
    ("selection_counts", [], "votes"),
    ("top_class", 1, "classes"),
    ("top_class", 7, "classes"),
    ("top_class", -1, "classes"),
    ("runner_up", 2, "classes"),
    ("runner_up", 0, "classes"),
    ("runner_up", None, "classes"),
    ("alpha", 0.002, "alpha"),
    ("alpha", 0.0005, "alpha"),
    ("alpha", 0.0012, "looks"),
    ("alpha", 0.0, "alpha"),
    ("alpha_lower", 0.002, "alpha"),
    ("alpha_lower", 0.0, "alpha"),
    ("alpha_lower", 0.00095, "looks"),
    ("alpha_lower", 0.0008, "p_lower"),
    ("alpha_upper", 0.01, "alpha"),
    ("alpha_upper", -0.0001, "alpha"),
    ("alpha_upper", 0.00009, "p_upper"),
    ("looks", [], "looks"),
    ("looks", [LOOK], "looks"),
    ("looks", [LOOK | {"alpha": 0.0001}, LAST], "looks"),
    ("looks", [LOOK, LAST | {"alpha": 0.001}], "looks"),
    ("looks", [LOOK, LAST | {"alpha": 0.0}], "looks"),
    ("looks", [LAST, LOOK], "looks"),
    ("looks", [LOOK, LOOK, LAST], "looks"),
    ("sigma", 1.0, "proved_radius"),
    ("sigma", 1.0, "level"),
    ("sigma", 1.0, "together"),
    ("sigma", -0.5, "level"),
    ("trials", [], "level"),
    ("trials", [TRIAL | {"sigma": 0.25}], "level"),
    ("trials", [TRIAL, TRIAL | {"sigma": 1.0, "proxy_radius": 0.62}], "level"),
    ("trials", [TRIAL | {"certifies": False}, TRIAL | {"sigma": 1.0}], "level"),
    ("trials", [TRIAL | {"proxy_radius": -0.1}], "level"),
    ("trials", [TRIAL | {"n": 0}], "level"),
    ("trials", [TRIAL, TRIAL | {"sigma": 0.0, "certifies": False}], "level"),
    ("statistics_digest", None, "adaptation"),
    ("statistics_digest", "f" * 64, "adaptation"),
    ("dimension", 1000, "proved_radius"),
    ("dimension", 0, "bounds"),
    ("noise", "uniform", "proved_radius"),
    ("noise", "hybrid", "noise"),
    ("p_lower", 0.95, "p_lower"),
    ("p_lower", 1.0, "bounds"),
    ("p_lower", -0.1, "bounds"),
    ("p_upper", 0.01, "p_upper"),
    ("p_upper", 0.0, "bounds"),
    ("p_upper", 1.1, "bounds"),
    ("radius", {"l2": 0.7, "l1": 0.7, "linf": 0.02}, "proved_radius"),
    ("radius_limit", 0.5, "proved_radius"),
    ("radius_limit", 3.0, "proved_radius"),
]


def early(noise: str = "gaussian") -> Certificate:
    """What the table above tampers with."""
    return stopped(chosen(adapted(make_certificate(noise=noise))), "time_up")


@pytest.mark.parametrize("noise", NOISES)
def test_what_is_tampered_with_was_true(noise: str) -> None:
    assert failed(early(noise)) == []


@pytest.mark.parametrize(("field", "value", "name"), EVIDENCE)
def test_other_evidence_fails(field: str, value: Any, name: str) -> None:
    """The certificate's numbers belong together."""
    assert name in failed(changed(early(), **{field: value}))


@pytest.mark.parametrize(("field", "value", "name"), EVIDENCE)
def test_other_evidence_fails_in_the_second_noise_of_a_hybrid(field: str, value: Any, name: str) -> None:
    """Both are looked at, whatever the check that finds it is called."""
    if not (field == "noise" and value == "uniform"):
        assert failed(changed(early("hybrid"), 1, **{field: value}))


TOP: list[tuple[str, Any, str]] = [
    ("radius", NOTHING, "radius"),
    ("same_class_radius", NOTHING, "same_class_radius"),
    ("target_radius", 0.5, "target"),
    ("target_certified", True, "target"),
    ("sigma", 0.25, "together"),
    ("sigma_policy", "fixed", "level"),
    ("bound", "one_sided", "alpha"),
    ("alpha", 0.001, "alpha_spent"),
    ("alpha", 0.6, "alpha_spent"),
    ("alpha_spent", 0.001, "alpha_spent"),
    ("alpha_spent", 0.002, "alpha_spent"),
    ("noise", [], "noise"),
    ("label", None, "label"),
    ("label", {"index": 1, "name": "digit 1"}, "label"),
    ("label", {"index": 0, "name": "digit 1"}, "label"),
    ("agrees", False, "label"),
    ("agrees", None, "label"),
    ("prediction", {"index": 1, "name": "digit 1"}, "label"),
    ("abstained", True, "label"),
    ("abstain_reason", "top_class_not_separated", "label"),
    ("adaptation", {"used": False, "momentum": None, "clean_size": None, "statistics_digest": None}, "adaptation"),
    ("adaptation", {"used": True, "momentum": None, "clean_size": 512, "statistics_digest": "0" * 64}, "adaptation"),
    ("adaptation", {"used": True, "momentum": 1.1, "clean_size": 512, "statistics_digest": "0" * 64}, "adaptation"),
    ("adaptation", {"used": True, "momentum": 1.0, "clean_size": None, "statistics_digest": "0" * 64}, "adaptation"),
    ("adaptation", {"used": True, "momentum": 1.0, "clean_size": 512, "statistics_digest": None}, "adaptation"),
    ("adaptation", {"used": False, "momentum": 1.0, "clean_size": None, "statistics_digest": None}, "adaptation"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "name"), TOP)
def test_another_statement_on_top_fails(field: str, value: Any, name: str) -> None:
    assert name in failed(restated(early(), **{field: value}))


def test_every_field_is_tampered_with() -> None:
    """All but those that the votes say nothing of: names, words, circumstances; the memory has its own tests."""
    beyond = {"id", "model", "model_digest", "image_digest", "upload_digest", "correct", "claim"}
    beyond |= {"memory", "seed", "seed_source", "compute", "created_at"}
    assert {field for field, _, _ in EVIDENCE} == set(NoiseEvidence.model_fields)
    assert {field for field, _, _ in TOP} == set(Certificate.model_fields) - beyond


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("reason", ["target_reached", "target_out_of_reach", "time_up"])
def test_an_early_stop_passes(noise: str, reason: str) -> None:
    """With all that was adapted and chosen, and votes beyond the look that counts."""
    made = stopped(chosen(adapted(make_certificate(noise=noise))), reason)
    segments = [DRAWN, DRAWN | {"stream": "estimation/1", "n": 500}]
    for place, _ in enumerate(made.noise):
        made = changed(made, place, n_drawn=10_500, segments=segments)
    target = 0.5 if reason != "target_out_of_reach" else 5.0
    assert failed(restated(made, target_radius=target, target_certified=target == 0.5)) == []


def test_hopeless_stop_passes_where_nothing_is_certified() -> None:
    assert failed(stopped(make_certificate(counts=HALF), "hopeless")) == []


@pytest.mark.parametrize("noise", NOISES)
def test_target_is_decided_from_the_radius(noise: str) -> None:
    """ℓ1 under uniform noise, else ℓ2; before the radius was rounded down."""
    made = make_certificate(noise=noise)
    radius = made.radius.l1 if noise == "uniform" else made.radius.l2
    for target, decisions in (
        (radius - 1e-5, {True}),
        (radius + 1e-6, {True, False}),
        (radius + 1e-5, {False}),
    ):
        for decision in (True, False):
            stated = restated(made, target_radius=target, target_certified=decision)
            assert failed(stated) == ([] if decision in decisions else ["target"])
    assert failed(restated(made, target_radius=0.1, target_certified=None)) == ["target"]
    assert failed(restated(made, target_radius=0.0, target_certified=True)) == ["target"]


def test_abstention_certifies_no_target() -> None:
    """Not even a tiny one."""
    made = make_certificate(counts=HALF)
    assert failed(restated(made, target_radius=1e-7, target_certified=False)) == []
    assert failed(restated(made, target_radius=1e-7, target_certified=True)) == ["target"]


def test_no_noise_level_certifies() -> None:
    """A reason to abstain only where levels were tried, and none promised anything."""
    reason = {"abstain_reason": "no_noise_level_certifies"}
    made = make_certificate(counts=HALF)
    assert failed(restated(chosen(made, promising=False), **reason)) == []
    assert failed(restated(chosen(made), **reason)) == ["label"]
    assert failed(restated(made, **reason)) == ["label"]
    assert failed(restated(made, abstain_reason="branches_disagree")) == ["label"]


def test_level_found_by_optimisation_is_stated_as_a_trial() -> None:
    """It need not be the most promising of those on its way."""
    made = restated(chosen(make_certificate(sigma=0.5)), sigma_policy="optimize")
    trials = [TRIAL, TRIAL | {"sigma": 0.6, "proxy_radius": 0.7}]
    assert failed(changed(made, trials=trials)) == []
    assert failed(changed(made, trials=[])) == ["level"]


@pytest.mark.parametrize("factor", [1 + 1e-5, 1 - 1e-5])
@pytest.mark.parametrize("name", ["p_lower", "p_upper"])
def test_another_bound_fails(name: str, factor: float) -> None:
    """One direction would be unsound, the other is not the bound that these votes give."""
    made = make_certificate()
    assert name in failed(changed(made, **{name: getattr(made.noise[0], name) * factor}))


def test_selection_tie_may_go_either_way() -> None:
    assert failed(changed(make_certificate(), selection_counts=[50, 50, 0])) == []


def test_failure_probability_is_shared_by_the_noises() -> None:
    """Each of a hybrid may spend half, not all."""
    made = hybrid()
    assert made.noise[0].alpha == made.alpha / 2
    spends_all = make_certificate().noise[0].model_dump()
    assert failed(changed(made, **spends_all)) == ["alpha_spent"] * 1 + ["radius"] * 1 + ["same_class_radius"]


def test_noises_of_a_hybrid_are_about_one_image_and_one_model() -> None:
    """The same coordinates, the same classes, the Gaussian first."""
    made = hybrid()
    assert "together" in failed(changed(made, 1, dimension=1000))
    assert "together" in failed(
        changed(made, 1, counts=[9_500, 300, 200, 0], selection_counts=[100, 0, 0, 0])
    )
    backwards = [evidence.model_dump() for evidence in reversed(made.noise)]
    assert failed(restated(made, noise=backwards)) == ["noise"]
    assert failed(restated(made, noise=[*backwards, backwards[0]])) == ["noise"]


def test_abstention_with_a_radius_or_without_a_reason_fails() -> None:
    made = make_certificate(counts=HALF)
    assert failed(restated(made, radius=NOTHING | {"l2": 0.1})) == ["radius"]
    assert failed(restated(made, abstain_reason=None)) == ["label"]
    assert failed(restated(made, correct=True)) == ["label"]


def test_claim_without_separation_fails() -> None:
    """An abstention dressed up as a certificate."""
    fields = make_certificate(counts=HALF).model_dump()
    fields |= {"abstained": False, "abstain_reason": None, "agrees": True, "label": fields["prediction"]}
    assert failed(Certificate.model_validate(fields)) == ["label"]


@pytest.mark.parametrize("noise", ["gaussian", "hybrid"])
def test_its_time_hardly_grows_with_the_votes(noise: str) -> None:
    """A hundred times as many votes take it no ten times as long."""
    times = []
    for votes in ((600, 390, 10), (60_000, 39_000, 1_000)):
        made = make_certificate(counts=votes, noise=noise, uniform_counts=votes)
        times.append(min(timeit.repeat(partial(verify_certificate, made), number=1, repeat=5)))
    assert times[1] < 10 * times[0]


@examples(200)
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
        assert tail_at_most(n, k, Fraction(p), alpha) == (tail <= alpha)


@given(
    p_lower=st.floats(0.01, 0.9999),
    gap=st.floats(0.001, 0.99),
    sigma=st.floats(0.01, 2),
    dimension=st.integers(1, 4),
)
def test_uniform_radii_are_where_the_cubes_overlap_too_little(
    p_lower: float, gap: float, sigma: float, dimension: int
) -> None:
    """A shift by δ moves 1 − Π(1 − |δ_i|/2λ) of a cube; the worst shift of each length moves half the gap."""
    p_upper = p_lower * (1 - gap)
    l2, l1, linf = (float(radius) for radius in radii(NoiseKind.UNIFORM, sigma, p_lower, p_upper, dimension))
    width = 2 * 3**0.5 * sigma
    half = (p_lower - p_upper) / 2
    assert l1 / width == pytest.approx(half)  # all along one axis
    assert 1 - (1 - linf / width) ** dimension == pytest.approx(half)
    assert 1 - (1 - l2 / dimension**0.5 / width) ** dimension == pytest.approx(half)
