"""Images of a caller, as files to send: paths, bytes, Pillow images and arrays."""

import io
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from PIL import Image as Pillow

from radii.errors import InvalidRequest


class Array(Protocol):
    """A NumPy array, or what has its interface."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Image = str | PathLike[str] | bytes | Pillow.Image | Array


def encode(image: Image) -> tuple[str, bytes]:
    """Returns the name and the content of an image file; pixels are encoded as PNG, without loss.

    Args:
        image: A path, the bytes of a file, a Pillow image, or an array of uint8: ``(height, width)``, or
            ``(height, width, 1 or 3)``.

    Raises:
        InvalidRequest: It cannot be read, or is none of these.
    """
    if isinstance(image, bytes):
        return "image", image
    if isinstance(image, Pillow.Image):
        return "image.png", _png(image)
    if isinstance(image, str | PathLike):
        return _read(Path(image))
    if hasattr(image, "__array_interface__"):
        return "image.png", _png(_picture(image))
    raise InvalidRequest(f"'image' must be a path, bytes, Pillow image or array, got {type(image).__name__}")


def _read(path: Path) -> tuple[str, bytes]:
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise InvalidRequest(f"'image' must be a file that can be read, got {str(path)!r}: {why}") from error


def _png(picture: Pillow.Image) -> bytes:
    content = io.BytesIO()
    try:
        picture.save(content, "PNG")
    except OSError as error:
        raise InvalidRequest(f"'image' must be of a mode that PNG has, got {picture.mode}") from error
    return content.getvalue()


def _picture(array: Any) -> Pillow.Image:
    interface = array.__array_interface__
    shape, kind = tuple(interface["shape"]), interface["typestr"][1:]
    if kind != "u1" or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))) or 0 in shape:
        raise InvalidRequest(
            "'image' must be an array of uint8 in the shape (height, width) or (height, width, 1 or 3), "
            f"got {getattr(array, 'dtype', kind)} in {shape}: the service certifies images of 8-bit pixels"
        )
    return Pillow.fromarray(array if shape[2:] != (1,) else array[:, :, 0])
