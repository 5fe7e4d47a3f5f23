"""What ``radii train`` makes is served: by every recipe, from the command line to a certificate."""

import io

import numpy as np
from PIL import Image

from contract.choices import JobStatus
from models.training.recipes import RECIPES
from tests.end_to_end.running import Running


def test_what_every_recipe_trains_is_served(running: Running) -> None:
    """After two steps it knows nothing; its votes are counted all the same."""
    served = {model["name"]: model for model in running.http.get("/models").json()["models"]}
    buffer = io.BytesIO()
    Image.fromarray(np.full((12, 12), 100, dtype=np.uint8)).save(buffer, format="PNG")
    jobs = {}
    for recipe in RECIPES:
        name = f"trained-{recipe}"
        assert served[name]["recipe"] == recipe
        jobs[recipe] = running.certify_picture(
            buffer.getvalue(), 0, model=name, sigma=0.1, adapt="false", n=200
        ).id
    for recipe, job_id in jobs.items():
        job = running.until(job_id, lambda job: job.status.final, 120)
        assert job.status is JobStatus.SUCCEEDED, job
        assert job.certificate is not None
        assert job.certificate.model == f"trained-{recipe}"
        (evidence,) = job.certificate.noise
        assert sum(evidence.counts) == evidence.n > 0
