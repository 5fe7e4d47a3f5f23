"""Pictures become exactly the arrays that a classifier takes."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.bundles import Fit
from models.errors import ImageError
from models.images import read_image


def png(width: int, height: int, mode: str = "RGB") -> io.BytesIO:
    buffer = io.BytesIO()
    columns = np.linspace(0, 255, width).astype(np.uint8)
    pixels = np.broadcast_to(columns[None, :], (height, width))
    Image.fromarray(np.ascontiguousarray(pixels)).convert(mode).save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def test_an_exact_picture_keeps_every_pixel() -> None:
    """PNG is lossless, and nothing else touches the pixels."""
    image = read_image(png(8, 6), (3, 6, 8))
    assert image.shape == (3, 6, 8)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[0, 0], np.linspace(0, 255, 8).astype(np.uint8))


def test_colour_becomes_grey_where_the_classifier_sees_grey() -> None:
    """One channel is the luminance."""
    assert read_image(png(8, 8), (1, 8, 8)).shape == (1, 8, 8)


def test_another_size_is_refused_without_a_fit() -> None:
    """The message has both sizes."""
    with pytest.raises(ImageError, match=r"must be 8x8 pixels, got 9x8"):
        read_image(png(9, 8), (3, 8, 8))


@pytest.mark.parametrize(("width", "height"), [(40, 20), (20, 40), (5, 5), (9, 8)])
def test_another_size_is_fitted_when_the_card_says_how(width: int, height: int) -> None:
    """Whatever comes in, the shape is the card's."""
    assert read_image(png(width, height), (3, 8, 8), Fit(resize=10)).shape == (3, 8, 8)


def test_a_fit_takes_the_centre() -> None:
    """Of a ramp from black to white, what is left is the middle."""
    image = read_image(png(64, 16), (1, 16, 16), Fit(resize=16))
    assert image.mean() == pytest.approx(127.5, abs=2)
    assert image.min() > 90


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    """Bytes of another kind have no pixels."""
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    with pytest.raises(ImageError, match="'image' must be an image file"):
        read_image(path, (3, 8, 8))


def test_five_channels_take_no_pictures() -> None:
    """A picture has one channel or three."""
    with pytest.raises(ImageError, match=r"1 or 3 channels .*got 5"):
        read_image(png(8, 8), (5, 8, 8))
