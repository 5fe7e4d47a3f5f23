"""Questions to `by-noise` about grey pictures, whose answers bind each other in a memory of certified regions."""

from contract.certificates import Certificate, PredictedLabel
from contract.choices import JobStatus
from contract.regions import RegionPage
from tests.support.pictures import grey_level
from tests.support.service import Service

MODEL = "by-noise"
STRONG, WEAK = 1.0, 0.1
"""Levels of noise: the model says "rough" under the one and "smooth" under the other."""


def apart(one: int, other: int) -> float:
    distance: float = 192**0.5 * abs(one - other) / 255
    return distance


def certify(running: Service, level: int, sigma: float, **fields: object) -> Certificate:
    """A verified certificate."""
    job = running.certify_picture(grey_level(level), 30, model=MODEL, sigma=sigma, **fields)
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.certificate is not None
    verification = running.http.post(f"/certificates/{job.id}/verify").json()
    assert verification["valid"], verification
    return job.certificate


def predict(running: Service, level: int, sigma: float, **fields: object) -> PredictedLabel:
    job = running.predict(grey_level(level), model=MODEL, sigma=sigma, **fields)
    assert job.prediction is not None, job.error
    return job.prediction


def regions(running: Service, memory: str, **fields: object) -> RegionPage:
    query = {"model": MODEL, "memory": memory, **fields}
    response = running.http.get("/regions", params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.text
    return RegionPage.model_validate_json(response.content)
