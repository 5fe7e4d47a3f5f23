"""The client without a server: what it refuses before sending, and how images become files."""

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from radii import retry
from radii.client import Client
from radii.errors import ClientError, InvalidRequest, RadiiError, ServerUnavailable
from radii.images import encode
from radii.own_key import UnusableKey
from radii.stack import free_port

PIXELS = np.arange(12 * 8 * 3, dtype=np.uint8).reshape(12, 8, 3)


def read(content: bytes) -> np.ndarray:
    """The pixels of an image file."""
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, :, 0], PIXELS[::2, ::-1], PIXELS[:, :, :1]])
def test_pixels_are_sent_without_loss(pixels: np.ndarray) -> None:
    """Arrays and Pillow images; of grey ones, in either shape."""
    expected = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    name, content = encode(pixels)
    assert name == "image.png"
    np.testing.assert_array_equal(read(content), expected)
    np.testing.assert_array_equal(read(encode(Image.fromarray(expected))[1]), expected)


def test_files_are_sent_as_they_are(tmp_path: Path) -> None:
    """By path or as bytes, whatever they hold: the server looks into them."""
    path = tmp_path / "boot.jpeg"
    path.write_bytes(b"jpeg")
    assert encode(path) == encode(str(path)) == ("boot.jpeg", b"jpeg")
    assert encode(b"jpeg")[1] == b"jpeg"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("nowhere.png", "'image' must be a file that can be read, got 'nowhere.png': No such file"),
        (PIXELS / 255, r"'image' must be an array of uint8 .* got float64 in \(12, 8, 3\)"),
        (PIXELS[None], r"got uint8 in \(1, 12, 8, 3\)"),
        (PIXELS[:0], r"got uint8 in \(0, 8, 3\)"),
        (Image.new("CMYK", (4, 4)), "'image' must be of a mode that PNG has, got CMYK"),
        (7, "'image' must be a path, bytes, Pillow image or array, got int"),
    ],
)  # fmt: skip
def test_an_image_that_is_none_is_refused(image: object, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        encode(image)  # type: ignore[arg-type]  # that is the point


@pytest.fixture
def nobody() -> Client:
    """A client of a server that is not there."""
    return Client(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sigma": -0.5}, "'sigma' must be > 0, got -0.5"),
        ({"n": 5}, "'n' must be >= 10 for 'alpha' = 0.001, got 5"),
        ({"noise": "pink"}, "'noise' must be 'gaussian', 'uniform' or 'hybrid', got 'pink'"),
        ({"sigma": 0.5, "sigma_grid": [0.5], "noise_level": "fixed"}, "'sigma_grid'"),
        ({"radius": 1}, "'radius' is not a field of this request"),
    ],
)
def test_fields_are_checked_before_anything_is_sent(
    nobody: Client, fields: dict[str, object], words: str
) -> None:
    """By the server's own rules and in its words."""
    for ask in (nobody.certify, nobody.submit):
        with pytest.raises(InvalidRequest, match=words) as raised:
            ask(b"png", **fields)
        assert raised.value.problem is None


def test_a_prediction_has_no_fields_of_a_certificate(nobody: Client) -> None:
    with pytest.raises(InvalidRequest, match="'n0' is not a field"):
        nobody.predict(b"png", n0=10)


def test_errors_are_one_family(nobody: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there, an address that is none, a key that cannot be sent."""
    calls: list[tuple[type[ClientError], Callable[[], object]]] = [
        (ServerUnavailable, lambda: nobody.certify(b"png")),
        (InvalidRequest, lambda: Client("http://127.0.0.1:99999")),
        (UnusableKey, lambda: Client(nobody.url, "two words")),
    ]
    for kind, call in calls:
        with pytest.raises(kind) as raised:
            call()
        assert isinstance(raised.value, ClientError)
        assert isinstance(raised.value, RadiiError)
    monkeypatch.setenv("RADII_API_KEY_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ClientError, match="nowhere"):
        Client(nobody.url)


def test_waits_have_a_limit_that_starts_anew_with_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same reason is reported once."""
    pauses: list[float] = []
    lines: list[str] = []
    monkeypatch.setattr(retry.time, "sleep", pauses.append)
    limit = retry.WaitLimit(5, lines.append)
    busy = httpx.Response(503, headers={"Retry-After": "2"})
    assert [limit.wait(busy, "queue_full", "The queue\nis full") for _ in range(3)] == [True, True, False]
    assert limit.wait_for_return("away")
    assert not limit.wait_for_return("away")
    assert pauses == [2, 2, 1]
    assert lines == [
        "waiting 2 s, at most 5 s in all: The queue is full",
        "waiting 1 s, at most 5 s in all: away",
    ]
    limit.reset()
    assert limit.wait(busy, "queue_full", "The queue is full")
    assert len(lines) == 3
    assert not limit.wait(httpx.Response(503), "no_workers", "no wait is asked for")
