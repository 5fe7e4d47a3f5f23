"""What is trained is served, by every recipe."""

from PIL import Image

from contract.choices import JobStatus
from models.training.recipes import RECIPES
from tests.support.pictures import png
from tests.support.service import Service


def test_what_every_recipe_trains_is_served(running: Service) -> None:
    """Both workers have read and checked each; the cards differ in nothing else that serving reads, so one is asked."""
    served = {model["name"]: model for model in running.http.get("/models").json()["models"]}
    names = {recipe: f"trained-{recipe}" for recipe in RECIPES}
    assert {recipe: served[name]["recipe"] for recipe, name in names.items()} == {
        name: name for name in RECIPES
    }
    assert all(served[name]["ready"] for name in names.values())
    *_, last = names.values()
    picture = png(Image.new("L", (12, 12), 100))
    job = running.certify_picture(picture, 30, model=last, sigma=0.1, adapt="false", n=200)
    job = running.final(job.id)
    assert job.status is JobStatus.SUCCEEDED, job
    assert job.certificate is not None
    assert job.certificate.model == last
    (evidence,) = job.certificate.noise
    assert (
        sum(evidence.counts) == evidence.n > 0
    )  # after twelve steps it knows nothing; its votes are counted
