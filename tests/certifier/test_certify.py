"""From an image and a model to a verdict: without a job, a queue or a store."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

import smoothing
from certifier import Identity, LoadedModel, Variants, certificate, certify
from contract.choices import AbstainReason, MemoryOutcome, NoiseKind, NoiseLevel, Stage, StopReason
from contract.tasks import CertifyQuestion
from service.verification.evidence import evidence_checks
from smoothing import Gaussian, Looks, NotAdaptable, Uniform, branch_seed
from tests.support.models import Plane, Shifted, Stripe, Thirds, toy_model
from tests.support.observing import InMemory, Recording
from tests.support.tasks import certify_task

IDENTITY = Identity("1" * 32, "a" * 64, "b" * 64)
SEED = 0xABC


def question(**fields: Any) -> CertifyQuestion:
    """A question with everything at a small ordinary value unless it is changed."""
    return certify_task(**{"sigma": 0.5, "n0": 50, "n": 1000, "seed": f"{SEED:032x}", **fields}).question


def test_a_certificate_is_that_of_the_library(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """Vote for vote what `smoothing.certify` counts from the same seed, and true: the border is 0.4 away."""
    found = certify(image, plane, question(), variants=variants)
    alone = smoothing.certify(
        plane.classifier, image, Gaussian(0.5), n0=50, n=1000, stop=Looks(give_up=0.001),
        batch_size=plane.classifier.batch_size, seed=SEED,
    )  # fmt: skip
    (run,) = found.runs
    assert run.certification.counts.tolist() == alone.counts.tolist()
    assert run.certification.radius == alone.radius
    assert found.verdict.finding.label == found.base_class == 0
    assert 0.3 < found.verdict.finding.radius.l2 <= alone.radius.l2 <= 0.4
    assert run.samples == 1050


def test_the_certificate_states_all_that_it_rests_on(
    plane: LoadedModel, image: Tensor, variants: Variants
) -> None:
    """The service's own recomputation finds nothing to object to."""
    found = certify(image, plane, question(label=1), variants=variants)
    stated = certificate(found, IDENTITY)
    (evidence,) = stated.noise
    assert all(check.passed for check in evidence_checks(stated, evidence))
    assert (stated.id, stated.model_digest, stated.seed) == (IDENTITY.id, plane.digest, f"{SEED:032x}")
    assert (stated.label, stated.agrees, stated.correct) == (stated.prediction, True, False)
    assert stated.memory.outcome is MemoryOutcome.OFF
    assert "answers 'class 0' for this image" in stated.claim


def test_a_coin_flip_is_not_certified(tie: LoadedModel, image: Tensor, variants: Variants) -> None:
    """On the border between two classes there is no claim."""
    found = certify(image, tie, question(), variants=variants)
    assert found.verdict.reason is AbstainReason.TOP_CLASS_NOT_SEPARATED
    stated = certificate(found, IDENTITY)
    assert stated.abstained
    assert stated.radius.l2 == stated.radius.l1 == 0
    assert stated.claim.startswith("No claim")


def test_a_hybrid_is_two_certificates_at_half_of_alpha(
    plane: LoadedModel, image: Tensor, variants: Variants
) -> None:
    """Each with a seed of its own; the larger radius in each norm, and beside it the smaller one."""
    asked = question(noise="hybrid", sigma_uniform=0.4, alpha=0.01)
    found = certify(image, plane, asked, variants=variants)
    for run, noise in zip(found.runs, (Gaussian(0.5), Uniform(0.4).on_lattice()), strict=True):
        alone = smoothing.certify(
            plane.classifier, image, noise, n0=50, n=1000, alpha=0.005, stop=Looks(give_up=0.001),
            batch_size=plane.classifier.batch_size, seed=branch_seed(SEED, noise.name),
        )  # fmt: skip
        assert run.certification.counts.tolist() == alone.counts.tolist()
        assert run.certification.alpha == 0.005
    gaussian, uniform = (run.certification.radius for run in found.runs)
    stated = certificate(found, IDENTITY)
    assert stated.radius.l1 == pytest.approx(max(gaussian.l1, uniform.l1), abs=1e-6)
    assert stated.same_class_radius is not None
    assert stated.same_class_radius.l1 == pytest.approx(min(gaussian.l1, uniform.l1), abs=1e-6)
    assert stated.alpha_spent == stated.alpha == 0.01


def test_branches_that_disagree_claim_nothing(image: Tensor, variants: Variants) -> None:
    """Class 0 under a little noise; much noise of the other kind crosses into class 1's majority."""
    model = toy_model(Stripe())
    found = certify(image, model, question(noise="hybrid", sigma=0.1, sigma_uniform=2.0), variants=variants)
    assert [run.certification.top_class for run in found.runs] == [0, 1]
    assert found.verdict.reason is AbstainReason.BRANCHES_DISAGREE
    assert certificate(found, IDENTITY).abstained


@pytest.mark.parametrize("noise", [NoiseKind.GAUSSIAN, NoiseKind.UNIFORM])
def test_a_target_is_decided_early(
    plane: LoadedModel, image: Tensor, variants: Variants, noise: NoiseKind
) -> None:
    """0.2 can be certified in the noise's own norm, and 0.6 cannot."""
    near, far = (
        certificate(certify(image, plane, question(noise=noise, n=100_000, target_radius=radius),
                            variants=variants), IDENTITY)
        for radius in (0.2, 0.6)
    )  # fmt: skip
    assert (near.target_certified, near.noise[0].stop_reason) == (True, StopReason.TARGET_REACHED)
    assert near.radius.of(noise) >= 0.2
    assert (far.target_certified, far.noise[0].stop_reason) == (False, StopReason.TARGET_OUT_OF_REACH)
    assert max(near.noise[0].n_drawn, far.noise[0].n_drawn) < 100_000


def test_progress_is_reported(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """The stage, every vote, and the radius as it grows."""
    observer = Recording()
    found = certify(image, plane, question(n=8000), variants=variants, observer=observer)
    assert observer.stages == [(Stage.SAMPLING, 8050)]
    assert observer.completed == 8050
    assert observer.radii == sorted(observer.radii)
    assert 0 < observer.radii[0] < observer.radii[-1] == found.verdict.finding.radius.l2


def test_an_observer_may_abandon_the_work(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """What it raises comes out unchanged."""
    observer = Recording(KeyboardInterrupt(), after=200)
    with pytest.raises(KeyboardInterrupt):
        certify(image, plane, question(n=100_000), variants=variants, observer=observer)
    assert 200 <= observer.completed < 100_000


@pytest.mark.parametrize("noise", ["gaussian", "hybrid"])
def test_another_attempt_continues_from_the_votes_that_were_kept(
    plane: LoadedModel, image: Tensor, variants: Variants, noise: str
) -> None:
    """None is made twice, and none comes from a stream that was used."""
    asked, keeper = question(noise=noise, n=50_000), InMemory()
    with pytest.raises(KeyboardInterrupt):
        certify(image, plane, asked, variants=variants, keeper=keeper,
                observer=Recording(KeyboardInterrupt(), after=10_000))  # fmt: skip
    assert keeper.records["gaussian"].votes is not None
    kept = keeper.records["gaussian"].votes.n
    assert 0 < kept < 50_000
    found = certify(image, plane, asked, variants=variants, keeper=keeper)
    first = found.runs[0]
    assert first.samples == 50_000 - kept
    assert [segment.stream for segment in first.certification.segments] == ["estimation", "estimation/1"]
    assert first.certification.n_drawn == 50_000
    assert found.verdict.finding.label == 0


def test_votes_about_another_function_are_not_continued(
    plane: LoadedModel, image: Tensor, variants: Variants
) -> None:
    """As after the operator has changed the precision."""
    asked, keeper = question(), InMemory()
    certify(image, plane, asked, variants=variants, keeper=keeper)
    record = keeper.records["gaussian"]
    keeper.records["gaussian"] = replace(record, setting=replace(record.setting, dtype="bfloat16"))
    assert certify(image, plane, asked, variants=variants, keeper=keeper).runs[0].samples == 1050


def test_a_lost_attempt_has_used_up_its_time(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """It worked for longer than was asked: the least number of votes is made."""
    asked = question(n=10_000_000, max_seconds=5.0)
    found = certify(image, plane, asked, variants=variants, keeper=InMemory(seconds=6.0))
    (run,) = found.runs
    assert run.looks[-1].n == smoothing.bounds.minimum_samples(0.001)


@pytest.mark.parametrize("fields", [{}, {"target_radius": 1.5}, {"noise": "hybrid", "sigma_uniform": 0.5}])
def test_a_plan_that_time_has_cut_says_so(image: Tensor, variants: Variants, fields: dict[str, Any]) -> None:
    """All votes of the plan are made, and they are a millionth of those that were asked for."""
    asked, late = question(n=10_000_000, max_seconds=5.0, **fields), InMemory(seconds=6.0)
    found = certify(image, toy_model(Plane(-9.0)), asked, variants=variants, keeper=late)
    stated = certificate(found, IDENTITY)
    for evidence in stated.noise:
        assert evidence.n_drawn == evidence.n_planned < 20
        assert evidence.stop_reason is StopReason.TIME_UP
        assert all(check.passed for check in evidence_checks(stated, evidence))


def test_a_target_beyond_a_plan_that_time_has_cut(image: Tensor, variants: Variants) -> None:
    """Ten million votes could certify it: there was no time for them."""
    asked = question(n=10_000_000, max_seconds=600.0, target_radius=2.4)
    keeper = InMemory(seconds=599.9)
    model = toy_model(Plane(-9.0))
    (evidence,) = certificate(certify(image, model, asked, variants=variants, keeper=keeper), IDENTITY).noise
    assert evidence.n_planned < 10_000_000
    assert evidence.radius_limit < 2.4
    assert evidence.stop_reason is StopReason.TIME_UP


@pytest.mark.parametrize("n", [500, 2000])
@pytest.mark.parametrize("bound", ["one_sided", "two_sided"])
@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
@pytest.mark.parametrize("target", [None, 5.0])
def test_equal_votes_certify_the_most_that_votes_can(
    image: Tensor, variants: Variants, n: int, bound: str, noise: str, target: float | None
) -> None:
    """At the failure probability that is left for the last look."""
    asked = question(n=n, bound=bound, noise=noise, target_radius=target)
    found = certify(image, toy_model(Plane(-9.0)), asked, variants=variants)
    (evidence,) = certificate(found, IDENTITY).noise
    radius = evidence.radius.l2 if noise == "gaussian" else evidence.radius.l1
    last = evidence.looks[-1]
    p_lower = stats.beta.ppf(last.alpha, n, 1)
    exact = evidence.sigma * (stats.norm.ppf(p_lower) if noise == "gaussian" else 3**0.5 * (2 * p_lower - 1))
    assert evidence.radius_limit == pytest.approx(exact, abs=1.1e-6)
    if target is None:
        assert evidence.counts == [n, 0]
        assert evidence.radius_limit == radius


def test_the_most_that_votes_can_certify_knows_of_the_runner_up(image: Tensor, variants: Variants) -> None:
    """Three classes among the selection votes: a tenth of the last look's alpha is the runner-up's."""
    found = certify(image, toy_model(Thirds(), classes=3), question(n=2000, n0=500), variants=variants)
    (evidence,) = certificate(found, IDENTITY).noise
    assert min(evidence.selection_counts) > 0
    p_lower = stats.beta.ppf(0.9 * evidence.looks[-1].alpha, 2000, 1)
    assert evidence.radius_limit == pytest.approx(0.5 * stats.norm.ppf(p_lower), abs=1.1e-6)


def test_auto_takes_the_level_of_the_largest_radius(
    plane: LoadedModel, image: Tensor, variants: Variants
) -> None:
    """With the border at 0.4, sigma 0.1 cannot reach beyond 0.25, and sigma 0.2 can; both are told."""
    found = certify(
        image, plane, question(noise_level=NoiseLevel.AUTO, sigma_grid=[0.05, 0.1, 0.2]), variants=variants
    )
    (run,) = found.runs
    assert run.certification.noise == Gaussian(0.2)
    assert [trial.sigma for trial in run.trials] == [0.05, 0.1, 0.2]
    assert all(trial.certifies for trial in run.trials)
    assert run.samples == 1050 + sum(trial.n for trial in run.trials)
    assert "The noise level was chosen for this image" in certificate(found, IDENTITY).claim


def test_auto_says_when_no_level_certifies(tie: LoadedModel, image: Tensor, variants: Variants) -> None:
    """On the border there is none."""
    asked = question(noise_level=NoiseLevel.AUTO, sigma_grid=[0.25, 0.5])
    found = certify(image, tie, asked, variants=variants)
    assert found.verdict.reason is AbstainReason.NO_NOISE_LEVEL_CERTIFIES


def test_optimize_climbs_from_its_start(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """Towards more noise, as long as the border is far."""
    asked = question(noise_level=NoiseLevel.OPTIMIZE, sigma=0.05)
    (run,) = certify(image, plane, asked, variants=variants).runs
    assert 0.05 < run.certification.noise.sigma <= 0.1
    assert [trial.sigma for trial in run.trials] == [run.certification.noise.sigma]


@pytest.mark.parametrize("level", list(NoiseLevel))
def test_adaptation_repairs_a_classifier_that_noise_has_shifted(
    image: Tensor, variants: Variants, level: NoiseLevel
) -> None:
    """Its statistics are of images that are much darker: everything looks like class 0, until they are re-estimated."""
    random = np.random.default_rng(1)
    clean: NDArray[np.uint8] = random.integers(0, 256, (256, 1, 2, 3), dtype=np.uint8)
    model = toy_model(Shifted(), clean=clean)  # mean 0, as before any training
    dark = image.clone()
    dark[0, 0, 0] = 0.0
    fields = {"noise_level": level, "sigma": 0.1, "sigma_grid": [0.1, 0.15], "n": 500}
    adapted = certify(dark, model, question(**fields, adapt=True, clean_size=256), variants=variants)
    assert adapted.verdict.finding.label == 1  # dark
    assert adapted.base_class == 0  # 0 / 1 is no side at all, and ties go to the first class
    stated = certificate(adapted, IDENTITY)
    assert stated.adaptation.used
    assert stated.adaptation.statistics_digest == stated.noise[0].statistics_digest is not None
    plain = certify(dark, model, question(**fields), variants=variants)
    assert plain.verdict.finding.label is None
    assert not certificate(plain, IDENTITY).adaptation.used


def test_a_model_without_batch_norm_is_not_adapted(
    plane: LoadedModel, image: Tensor, variants: Variants
) -> None:
    """It is refused, and not certified as something else."""
    model = toy_model(Plane(0.6), clean=np.zeros((4, 1, 2, 3), dtype=np.uint8))
    with pytest.raises(NotAdaptable, match="must have batch-norm layers"):
        certify(image, model, question(adapt=True, clean_size=4), variants=variants)
