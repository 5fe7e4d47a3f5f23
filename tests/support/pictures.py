"""Pictures that tests send."""

import io

from PIL import Image


def grey(value: float) -> bytes:
    """A picture of 8×8 of one grey value in [0, 1]."""
    return grey_level(round(value * 255))


def grey_level(level: int) -> bytes:
    """A picture of 8×8 of one grey value of 256. Two of levels a and b are 192 ** 0.5 * |a - b| / 255 apart."""
    return png(Image.new("RGB", (8, 8), (level, level, level)))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
