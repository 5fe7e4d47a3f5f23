"""From an image over HTTP to a certificate that can be checked again."""

import json
import math
from pathlib import Path
from statistics import NormalDist

import httpx
import numpy as np
import pytest
from scipy import stats

from contract.choices import JobStatus
from tests.support.command_line import EXAMPLES, radii
from tests.support.service import Service
from tests.support.waiting import until


def test_a_real_image_gets_a_true_certificate(running: Service) -> None:
    """The label is right, the radius positive, the votes add up."""
    job = running.certify(n=5000, label="ankle-boot")
    assert job.status is JobStatus.SUCCEEDED
    certificate = job.certificate
    assert certificate is not None
    assert certificate.label is not None
    assert certificate.label.name == "ankle-boot"
    assert certificate.correct is True
    assert certificate.radius.l2 > 0.2
    assert sum(certificate.noise[0].counts) == certificate.noise[0].n
    assert sum(certificate.noise[0].selection_counts) == 100


@pytest.mark.parametrize("bound", ["one_sided", "two_sided"])
def test_the_radius_follows_from_the_stated_counts(running: Service, bound: str) -> None:
    """σ·Φ⁻¹ of the Clopper–Pearson bound, recomputed with SciPy from the JSON alone, rounded down."""
    for number, picture in enumerate(sorted(EXAMPLES.glob("*.png"))[:4]):
        # Trials at every level of a grid take most of the votes, and one picture shows them.
        level = {} if number == 0 else {"sigma": "0.5", "adapt": "false"}
        job = running.certify_picture(picture.read_bytes(), n=2000, bound=bound, memory="off", **level)
        certificate = running.http.get(f"/certificates/{job.id}").json()
        if certificate["abstained"]:
            assert certificate["radius"] == {"l2": 0.0, "l1": 0.0, "linf": 0.0}
            continue
        (noise,) = certificate["noise"]
        n, counts, top = noise["n"], noise["counts"], noise["top_class"]
        p_lower = stats.beta.ppf(noise["alpha_lower"], counts[top], n - counts[top] + 1)
        p_upper = 1 - p_lower
        if noise["alpha_upper"] > 0:
            other = max(count for index, count in enumerate(counts) if index != top)
            p_upper = min(p_upper, stats.beta.ppf(1 - noise["alpha_upper"], other + 1, n - other))
        assert noise["p_lower"] == pytest.approx(p_lower, rel=1e-9)
        assert noise["p_lower"] <= p_lower
        assert noise["p_upper"] == pytest.approx(p_upper, rel=1e-9)
        exact = noise["sigma"] / 2 * (NormalDist().inv_cdf(p_lower) - NormalDist().inv_cdf(p_upper))
        assert certificate["radius"]["l2"] <= exact
        assert certificate["radius"]["l2"] == pytest.approx(exact, abs=2e-6)
        assert certificate["radius"]["l2"] == math.floor(certificate["radius"]["l2"] * 1e6 + 0.5) / 1e6
        assert certificate["radius"]["linf"] <= exact / 28


def test_verify_recomputes_the_certificate(running: Service, tmp_path: Path) -> None:
    """Over HTTP and offline; a radius that is too large is caught by both."""
    certificate = running.certify(n=2000).certificate
    assert certificate is not None
    response = running.http.post(f"/certificates/{certificate.id}/verify")
    assert response.json()["valid"] is True, response.text
    file = tmp_path / "certificate.json"
    file.write_text(certificate.model_dump_json())
    assert radii("verify", str(file)).returncode == 0
    forged = json.loads(file.read_text())
    forged["radius"]["l2"] += 0.01
    file.write_text(json.dumps(forged))
    ran = radii("verify", str(file))
    assert ran.returncode == 1
    assert "FAILS" in ran.stdout


def test_a_seed_repeats_a_certificate(running: Service) -> None:
    """Whichever engine draws the votes, in whatever batches; another seed draws others."""
    counts = []
    for seed in ("a1b2", "a1b2", "a1b3"):
        certificate = running.certify(n=1000, sigma=1.0, seed=seed).certificate
        assert certificate is not None
        assert certificate.seed == seed.zfill(32)
        assert certificate.seed_source == "client"
        assert "The client chose the seed" in certificate.claim
        counts.append(certificate.noise[0].counts)
    assert counts[0] == counts[1] != counts[2]


def test_asking_again_buys_no_other_votes(running: Service) -> None:
    """The service has one seed for a model and an image: votes of another question continue the same stream."""
    first, again, other = (
        running.certify(n=n, sigma=sigma).certificate for n, sigma in ((1000, 1.0), (1000, 1.0), (1000, 1.01))
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.seed == again.seed == other.seed
    assert first.seed_source == "service"
    assert first.noise[0].counts == again.noise[0].counts
    assert first.compute.arithmetic == "exact"


def test_prediction_needs_few_votes(running: Service) -> None:
    """The label without a radius."""
    job = running.predict(memory="off")
    assert job.prediction is not None
    assert job.prediction.label is not None
    assert job.prediction.label.name == "ankle-boot"
    assert [votes.n for votes in job.prediction.noise] == [1000]
    assert job.certificate is None


def test_noise_alone_makes_the_classifier_abstain(running: Service) -> None:
    """With noise far above what the model knows, few votes separate nothing: an answer, not an error."""
    job = running.certify(n=20, sigma=20)
    assert job.status is JobStatus.SUCCEEDED
    assert job.certificate is not None
    if job.certificate.abstained:
        assert job.certificate.label is None
        assert job.certificate.radius.l2 == 0


def test_a_second_job_does_not_load_the_model_again(running: Service) -> None:
    """Engines count how often they loaded a model; jobs on warm engines do not add to it."""

    def loads_after(jobs: int) -> dict[str, int]:
        """What the engines say once they have spoken of so many more jobs."""
        done = sum(engine.jobs for engine in running.living_engines())
        for _ in range(jobs):
            running.certify(n=500)
        until(lambda: sum(engine.jobs for engine in running.living_engines()) >= done + jobs)
        return {engine.engine_id: engine.loads for engine in running.living_engines()}

    assert loads_after(4) == loads_after(6)


def test_models_made_by_users_are_served(running: Service) -> None:
    """Torchvision's ResNet-18 with random weights, and a user's own module with a state dict."""
    listing = running.http.get("/models").json()
    ready = {model["name"] for model in listing["models"] if model["ready"]}
    assert {"fashion-mnist-gaussian", "resnet", "theirs"} <= ready
    for model, size in (("resnet", (64, 64)), ("theirs", (8, 8))):
        job = running.certify_picture(colour_picture(size), model=model, sigma=0.1)
        assert job.status is JobStatus.SUCCEEDED, job.error
        assert job.certificate is not None
        assert job.certificate.model == model


def test_an_image_of_another_size_is_fitted_only_when_asked(running: Service) -> None:
    """`exact` names both sizes; `resize` certifies the fitted image and says which it was."""
    picture = colour_picture((100, 130))
    response = running.http.post("/certify", files={"image": picture}, data={"model": "resnet"})
    assert response.status_code == 422
    assert response.json()["code"] == "image_size_mismatch"
    job = running.certify_picture(picture, model="resnet", fit="resize")
    assert job.status is JobStatus.SUCCEEDED
    assert job.certificate is not None
    assert job.certificate.image_digest != job.certificate.upload_digest


def colour_picture(size: tuple[int, int]) -> bytes:
    """A colourful PNG of (height, width)."""
    from io import BytesIO

    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_one_hundred_jobs_at_once_all_finish(running: Service) -> None:
    """The queue loses nothing."""
    jobs = [running.certify(wait=0, n=20) for _ in range(100)]
    final = [running.until(job.id, lambda job: job.status.final) for job in jobs]
    assert {job.status for job in final} == {JobStatus.SUCCEEDED}


def test_the_api_documents_itself(running: Service) -> None:
    """A browser can read the documentation."""
    assert running.http.get("/docs").status_code == httpx.codes.OK
    assert running.http.get("/openapi.json").json()["info"]["title"]
