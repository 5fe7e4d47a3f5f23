"""Decodes an uploaded image into the pixels that are certified.

The certificate is about the decoded pixels. Lossless conversions are therefore always made, and lossy ones
only with ``fit=resize``. Sizes are checked in the header, before anything is decoded.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Final

from PIL import Image, ImageChops, ImageOps, PngImagePlugin, UnidentifiedImageError

from contract.choices import Fit, ProblemCode
from contract.keys import pixel_digest
from contract.limits import IMAGE_FORMATS, MAX_IMAGE_PIXELS
from contract.models import ModelInfo
from contract.problems import ProblemError, refusal
from service.edge.image_headers import require_plain, require_short_header

# Python keeps every distinct warning it has shown, and one file can cause thousands: memory would grow.
warnings.filterwarnings("ignore", module=r"PIL\.")
PngImagePlugin.MAX_TEXT_MEMORY = 4 * PngImagePlugin.MAX_TEXT_CHUNK  # bytes of comments after decompression

_LARGE: Final = 1_000_000  # pixels; larger images are slow to decode, so their size is checked before
_POINTER: Final = "/image"
_WANTED: Final = "'image' must be a PNG, JPEG, WebP or BMP file"
_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"PK\x03\x04", "ZIP"),
)
_PNG_BIT_DEPTH: Final = 24  # offset of the byte; the header chunk always comes first


_unsupported = partial(refusal, ProblemCode.UNSUPPORTED_IMAGE_TYPE, pointer=_POINTER)
_undecodable = partial(refusal, ProblemCode.UNDECODABLE_IMAGE, pointer=_POINTER)
_mismatch = partial(refusal, ProblemCode.IMAGE_SIZE_MISMATCH, pointer=_POINTER)


@dataclass(frozen=True)
class FittedImage:
    """An image in the model's input shape.

    Attributes:
        pixels: ``(height, width, channels)`` interleaved, one byte each.
        digest: SHA-256 of the shape and the pixels: the name of the certified point.
        upload_digest: SHA-256 of the uploaded file.
    """

    pixels: bytes
    digest: str
    upload_digest: str


def fit_image(upload: bytes, model: ModelInfo, fit: Fit) -> FittedImage:
    """Decodes an upload into the model's input shape.

    Raises:
        ProblemError: It is not an image of a supported type, is too large or damaged, or does not fit.
    """
    # One name throughout, so that each step's large picture is freed as soon as the next one exists.
    image: Image.Image = _open(upload)
    if fit is Fit.EXACT and image.width * image.height > _LARGE:
        _require_size(image, model, upright=False)
    image = _decode(image, upload)
    image = _to_grey_or_rgb(image)
    image = _to_channels(image, model.input_shape[0], fit)
    if fit is Fit.RESIZE:
        image = _resize(image, model)
    _require_size(image, model)
    channels, height, width = model.input_shape
    pixels = image.tobytes()
    return FittedImage(
        pixels=pixels,
        digest=pixel_digest(pixels, height, width, channels),
        upload_digest=hashlib.sha256(upload).hexdigest(),
    )


def _require_size(image: Image.Image, model: ModelInfo, *, upright: bool = True) -> None:
    _, height, width = model.input_shape
    if image.size != (width, height) and (upright or image.size != (height, width)):
        raise _mismatch(
            f"'image' must be {width}×{height} pixels for '{model.name}', got {image.width}×{image.height}"
            + ("; 'fit' = resize would resize it" if model.fit else "")
        )


def _decode(image: Image.Image, upload: bytes) -> Image.Image:
    """Decodes the pixels, and turns the picture upright as its EXIF says."""
    # Not for JPEG: a phone's may contain a second picture, such as a depth map, and viewers show the first.
    if image.format in ("PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
        raise _unsupported("'image' must be a single picture, got an animation")
    if image.format == "PNG" and upload[_PNG_BIT_DEPTH] > 8:
        raise _unsupported(
            "'image' must have 8 bits per channel, got 16"
        )  # Pillow would silently drop the lower 8
    try:
        if image.format == "PNG":
            _read_header(upload).verify()  # checks all checksums, also after the last pixel
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except Exception:  # decoders raise all kinds of exceptions on damaged files
        raise _undecodable(
            f"'image' must be a complete {image.format} file; this one is truncated or damaged"
        ) from None


def _open(upload: bytes) -> Image.Image:
    """Reads the header, and refuses too many pixels before any is decoded."""
    require_short_header(upload)
    image = _read_header(upload)
    if image.width * image.height > MAX_IMAGE_PIXELS:
        raise _too_large(f"got {image.width}×{image.height}")
    require_plain(image)
    return image


def _read_header(upload: bytes) -> Image.Image:
    if not upload:
        raise _undecodable(f"{_WANTED}, got an empty file")
    found = _sniff(upload)
    try:
        return Image.open(io.BytesIO(upload), formats=IMAGE_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("its header says many more") from None
    except Exception as error:
        if isinstance(error, UnidentifiedImageError) and found.upper() not in IMAGE_FORMATS:
            raise _unsupported(f"{_WANTED}, got {found}") from None
        raise _undecodable(
            f"'image' starts like a {found} file, but its header is truncated or damaged"
        ) from None


def _sniff(upload: bytes) -> str:
    for signature, name in _SIGNATURES:
        if upload.startswith(signature):
            return name
    if upload[:4] == b"RIFF" and upload[8:12] == b"WEBP":
        return "WebP"
    return "text" if upload[:512].isascii() and b"\x00" not in upload[:512] else "an unknown type"


def _to_grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = _drop_opaque_alpha(image)
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode.startswith(("I", "F")):
        raise _unsupported("'image' must have 8 bits per channel, got more")
    raise _unsupported(f"'image' must be grey or RGB, got {image.mode}; convert it first")


def _drop_opaque_alpha(image: Image.Image) -> Image.Image:
    grey = image.mode in ("1", "L", "LA", "La")
    layered = image.convert("RGBA")
    if layered.getchannel("A").getextrema() != (255, 255):
        raise _unsupported("'image' must be opaque, got transparent pixels; flatten it first")
    return layered.getchannel("R") if grey else layered.convert("RGB")


def _to_channels(image: Image.Image, channels: int, fit: Fit) -> Image.Image:
    if channels == 3:
        return image if image.mode == "RGB" else image.convert("RGB")  # grey becomes three equal channels
    if channels != 1:
        raise _mismatch(f"'image' must have {channels} channels, which no supported file type can hold")
    if image.mode == "L":
        return image
    red, green, blue = image.split()
    if not ImageChops.difference(red, green).getbbox() and not ImageChops.difference(green, blue).getbbox():
        return red
    if fit is Fit.RESIZE:
        return image.convert("L")
    raise _mismatch("'image' must be grey, got colours; 'fit' = resize would convert it to luminance")


def _resize(image: Image.Image, model: ModelInfo) -> Image.Image:
    """Resizes the shorter side and crops the centre, with torchvision's rounding."""
    rule = model.fit
    if rule is None:
        detail = (
            f"'fit' must be exact, got resize: '{model.name}' has no rule (`radii bundle create --resize`)"
        )
        raise refusal(ProblemCode.IMAGE_SIZE_MISMATCH, detail, pointer="/fit")
    shorter = min(image.size)
    width, height = (int(rule.resize * side / shorter) for side in image.size)
    if width * height > MAX_IMAGE_PIXELS:
        raise _too_large(f"got {width}×{height} after resizing")
    resized = image.resize((width, height), Image.Resampling[rule.interpolation.upper()])
    _, crop_height, crop_width = model.input_shape
    left, top = round((width - crop_width) / 2), round((height - crop_height) / 2)
    return resized.crop((left, top, left + crop_width, top + crop_height))


def _too_large(got: str) -> ProblemError:
    detail = f"'image' must have <= {MAX_IMAGE_PIXELS} pixels, {got}"
    return refusal(ProblemCode.IMAGE_TOO_LARGE, detail, pointer=_POINTER)
