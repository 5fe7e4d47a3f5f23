"""`radii.Client` against the real stack: one image in every form, progress, predictions."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from contract.certificates import Certificate
from contract.jobs import Progress
from radii.client import Client
from tests.support.service import Service

LEVEL = {"sigma": 0.5, "adapt": False, "n": 2000}


@pytest.fixture
def client(running: Service) -> Iterator[Client]:
    with Client(running.url, running.key_file.read_text().strip()) as client:
        yield client


def test_one_image_in_every_form(running: Service, client: Client) -> None:
    """A path, bytes, a Pillow image and an array are the same image, and so is the certificate."""
    path = running.picture
    picture = Image.open(path)
    forms = [path, str(path), path.read_bytes(), picture, np.asarray(picture)]
    certificates = [client.certify(form, seed="ab", memory="off", **LEVEL) for form in forms]
    assert len({certificate.image_digest for certificate in certificates}) == 1
    assert len({certificate.radius.l2 for certificate in certificates}) == 1
    first = certificates[0]
    assert first.label is not None
    assert first.radius.l2 > 0
    assert client.certificate(first.id) == first


def test_a_stream_ends_with_the_certificate(running: Service, client: Client) -> None:
    """The radius certified so far grows, and the final one is not smaller."""
    *progress, last = client.stream(running.picture, noise_level="fixed", sigma=0.5, adapt=False, n=50_000)
    assert isinstance(last, Certificate)
    radii = [event.radius_so_far or 0.0 for event in progress if isinstance(event, Progress)]
    assert radii == sorted(radii)
    assert 0 < radii[-1] <= last.radius.l2


def test_a_prediction(running: Service, client: Client) -> None:
    prediction = client.predict(running.picture, sigma=0.5, adapt=False, n=200)
    assert prediction.label is not None
    assert prediction.compute.samples == 200


def test_models(client: Client) -> None:
    names = {model.name for model in client.models().models}
    assert "theirs" in names
    assert client.model("theirs").classes == ["cat", "dog", "bird"]
