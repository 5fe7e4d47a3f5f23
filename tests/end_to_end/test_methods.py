"""Every kind of certificate over HTTP, on the real stack, and each verified from its own counts."""

import pytest

from contract.certificates import Certificate
from contract.choices import JobStatus, StopReason
from tests.support.command_line import EXAMPLES
from tests.support.pictures import grey
from tests.support.processes import kill
from tests.support.service import Service
from tests.support.waiting import until

LEAST_SHARE = 10  # a decision takes at most this part of the votes


def certificate_of(running: Service, **fields: object) -> Certificate:
    """Certifies the shipped picture by votes alone, with these fields, and verifies the answer."""
    job = running.ask(**{"memory": "off", **fields})
    job = running.final(job.id)
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.certificate is not None
    verification = running.http.post(f"/certificates/{job.id}/verify").json()
    assert verification["valid"], verification
    return job.certificate


def test_a_bare_image_is_adapted_and_gets_a_noise_level_of_its_own(running: Service) -> None:
    """The defaults: the model's grid, statistics for the level chosen, and a claim about this level alone."""
    certificate = certificate_of(running, n=1000)
    (evidence,) = certificate.noise
    assert [trial.sigma for trial in evidence.trials] == [0.12, 0.25, 0.37, 0.5, 0.67, 0.75, 0.87, 1.0]
    best = max(evidence.trials, key=lambda trial: trial.proxy_radius)
    assert certificate.sigma == evidence.sigma == best.sigma
    assert certificate.adaptation.used
    assert certificate.adaptation.momentum == 1.0
    assert certificate.adaptation.clean_size == 512
    assert certificate.adaptation.statistics_digest == evidence.statistics_digest is not None
    assert "not about one that chooses its level anew" in certificate.claim
    tried = [trial.n for trial in evidence.trials]
    assert max(tried) == 1000
    assert certificate.compute.samples == sum(tried) + 100 + evidence.n_drawn


def test_optimize_climbs_from_the_models_level(running: Service) -> None:
    """With and without adaptation; statistics are shared on a lattice of levels."""
    for adapt in ("false", "true"):
        certificate = certificate_of(running, n=1000, noise_level="optimize", adapt=adapt)
        (evidence,) = certificate.noise
        assert certificate.sigma != 0.5
        assert [trial.sigma for trial in evidence.trials] == [certificate.sigma]
        assert certificate.adaptation.used is (adapt == "true")
        if certificate.adaptation.used:
            assert round(certificate.sigma / 0.005) == pytest.approx(certificate.sigma / 0.005)


def test_uniform_noise_certifies_l1(running: Service) -> None:
    """The ℓ1 radius is the large one, and ℓ2 and ℓ∞ follow from the same votes."""
    radius = certificate_of(running, n=2000, noise="uniform", sigma=0.5).radius
    assert radius.l1 > radius.l2 > radius.linf > 0


def test_hybrid_certifies_both_norms_at_one_alpha(running: Service) -> None:
    """Two noises at half of alpha each; what is claimed beyond the smaller radius is said apart."""
    certificate = certificate_of(running, n=2000, noise="hybrid", sigma=0.5, sigma_uniform=0.25)
    gaussian, uniform = certificate.noise
    assert (gaussian.sigma, uniform.sigma) == (0.5, pytest.approx(0.25, abs=0.002))  # whole grey levels
    assert gaussian.alpha == uniform.alpha == 0.0005
    assert gaussian.statistics_digest != uniform.statistics_digest
    assert certificate.alpha_spent <= certificate.alpha
    assert certificate.same_class_radius is not None
    assert certificate.radius.l1 == max(gaussian.radius.l1, uniform.radius.l1)
    assert certificate.same_class_radius.l1 == min(gaussian.radius.l1, uniform.radius.l1)
    assert "may abstain there" in certificate.claim


def test_hybrid_predictions_agree_on_a_label(running: Service) -> None:
    """Both noises' votes have to show it."""
    prediction = running.predict(noise="hybrid", memory="off").prediction
    assert prediction is not None
    assert [votes.noise.value for votes in prediction.noise] == ["gaussian", "uniform"]
    assert prediction.label is not None
    assert prediction.label.name == "ankle-boot"
    assert prediction.adaptation.used


def test_a_question_about_one_radius_is_answered_with_few_votes(running: Service) -> None:
    """Half of what all votes certify is decided by a tenth of them; more than can be is refused by name."""
    whole = certificate_of(running, n=20_000, sigma=0.5, adapt="false")
    target = whole.radius.l2 / 2
    quick = certificate_of(running, n=20_000, sigma=0.5, adapt="false", target_radius=target)
    assert quick.target_certified is True
    assert quick.radius.l2 >= target
    assert quick.noise[0].stop_reason is StopReason.TARGET_REACHED
    assert quick.noise[0].n_drawn <= 20_000 / LEAST_SHARE
    beyond = certificate_of(running, n=20_000, sigma=0.5, adapt="false", target_radius=1.5)
    assert beyond.target_certified is False
    assert beyond.noise[0].stop_reason is StopReason.TARGET_OUT_OF_REACH
    assert beyond.noise[0].n_drawn < 20_000
    response = running.http.post(
        "/certify",
        files={"image": running.picture.read_bytes()},
        data={"n": "20000", "sigma": "0.5", "target_radius": "5"},
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/target_radius"


def test_a_time_budget_gives_the_best_certificate_that_fits(running: Service) -> None:
    """Minutes of votes were asked for; the answer is there in seconds and says how many were made."""
    certificate_of(running, n=1000, sigma=0.5)  # both what is adapted and what is compiled are warm, mostly
    certificate = certificate_of(running, n=5_000_000, sigma=0.5, max_seconds=2)  # minutes of votes
    (evidence,) = certificate.noise
    assert evidence.n_drawn <= evidence.n_planned < 5_000_000
    assert certificate.radius.l2 > 0


def test_a_job_that_was_killed_half_way_goes_on_from_its_votes(running: Service) -> None:
    """Not one vote is lost but the last second's, and the others are those that it would have made."""
    running.wait_for_engines(2)
    job = running.certify(wait=0, n=60_000)
    running.until(job.id, lambda job: job.progress.completed > 20_000)
    for engine in running.living_engines():
        kill(engine.pid)
    final = running.final(job.id)
    assert final.status is JobStatus.SUCCEEDED, final.error
    assert final.attempt in (2, 3)  # 3: the idle engine had taken the job over before it was killed as well
    assert final.certificate is not None
    (evidence,) = final.certificate.noise
    assert sum(segment.n for segment in evidence.segments) == evidence.n_drawn == 60_000
    assert [segment.stream for segment in evidence.segments] == ["estimation"]
    assert final.certificate.compute.samples < 55_000
    assert running.http.post(f"/certificates/{job.id}/verify").json()["valid"]
    assert not running.redis.exists(f"radii:job:{job.id}:votes")


def test_two_workers_use_bit_identical_statistics(running: Service) -> None:
    """Both estimate at once; one publishes, both use what it published."""
    running.wait_for_engines(2)
    before = {engine.engine_id: engine.jobs for engine in running.living_engines()}
    jobs = [
        running.ask(n=3000, sigma=0.415, adapt="true", picture=picture)
        for picture in sorted(EXAMPLES.glob("*.png"))[:6]
    ]
    final = [running.final(job.id) for job in jobs]
    digests = {job.certificate.adaptation.statistics_digest for job in final if job.certificate}

    def served() -> bool:
        return all(engine.jobs > before[engine.engine_id] for engine in running.living_engines())

    until(served, "one engine did all the jobs")
    assert len(digests) == 1
    assert len(list(running.redis.scan_iter("radii:statistics:*gaussian:0.415:*"))) == 1


def test_what_cannot_be_adapted_says_so(running: Service) -> None:
    """A network without batch normalisation: left alone by default, refused when it is asked for."""
    picture = grey(0.5)
    job = running.certify_picture(picture, model="theirs", n=200, sigma=0.5)
    assert job.certificate is not None
    assert not job.certificate.adaptation.used
    response = running.http.post(
        "/certify", files={"image": picture}, data={"model": "theirs", "adapt": "true", "sigma": "0.5"}
    )
    assert response.status_code == 422
    assert response.json()["code"] == "not_adaptable"
    assert "batch-norm" in response.json()["detail"]
