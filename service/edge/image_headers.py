"""What is asked of an upload before a decoder reads it: that its header is not made to keep a reader busy.

Decoders bound the pixels that a small file can become, but not the parts that a header can have: each costs a
step of Python, and twelve megabytes of empty ones take many seconds. No real picture comes near these bounds.
"""

import struct
from typing import Final

from PIL import Image

from contract.choices import ProblemCode
from contract.problems import ProblemError, refusal

_MAX_PNG_CHUNKS: Final = 4_000  # of a kilobyte and more each, in a picture of our size
_MAX_JPEG_SEGMENTS: Final = 500  # a colour profile alone may have 255
_MAX_JPEG_SCANS: Final = 64  # a progressive picture has about ten; each is a walk over all of its blocks
_MAX_EXIF_BYTES: Final = 65_536  # as many as a JPEG has room for
_RUN_LENGTH_ENCODED: Final = (1, 2)
_START_OF_SCAN: Final = b"\xff\xda"


def require_short_header(upload: bytes) -> None:
    """Refuses a PNG or JPEG of too many parts.

    Raises:
        ProblemError: It names the part.
    """
    if upload.startswith(b"\x89PNG"):
        _require_at_most(_MAX_PNG_CHUNKS, _png_chunks(upload), "PNG", "chunks")
    elif upload.startswith(b"\xff\xd8"):
        _require_at_most(_MAX_JPEG_SEGMENTS, _jpeg_segments(upload), "JPEG", "segments before its first scan")
        _require_at_most(_MAX_JPEG_SCANS, upload.count(_START_OF_SCAN), "JPEG", "scans")


def require_plain(image: Image.Image) -> None:
    """Refuses what is slow to read of an opened picture.

    Raises:
        ProblemError: It is a run-length encoded BMP, or has more EXIF than a camera can write.
    """
    # Pillow reads these in Python, byte by byte.
    if image.format == "BMP" and image.info.get("compression") in _RUN_LENGTH_ENCODED:
        detail = "'image' must be an uncompressed BMP, got a run-length encoded one"
        raise refusal(ProblemCode.UNSUPPORTED_IMAGE_TYPE, detail, pointer="/image")
    exif = len(image.info.get("exif", b"")) + len(image.info.get("Raw profile type exif", "")) // 2
    if exif > _MAX_EXIF_BYTES:
        raise _too_busy(f"<= {_MAX_EXIF_BYTES} bytes of EXIF, got {exif}")


def _png_chunks(upload: bytes) -> int:
    """Counts chunks, up to one too many."""
    place, found = 8, 0
    while place + 8 <= len(upload) and found <= _MAX_PNG_CHUNKS:
        (length,) = struct.unpack_from(">I", upload, place)
        place += 12 + length
        found += 1
    return found


def _jpeg_segments(upload: bytes) -> int:
    """Counts markers and the bytes between segments, up to the first scan or one too many."""
    place, found = 2, 0
    exif = 0
    while place + 4 <= len(upload) and found <= _MAX_JPEG_SEGMENTS:
        marker = upload[place : place + 2]
        if marker == _START_OF_SCAN:
            break
        found += 1
        if marker[0] != 0xFF or marker[1] in (0x00, 0xFF):
            place += 1
            continue
        (length,) = struct.unpack_from(">H", upload, place + 2)
        if upload.startswith(b"Exif\x00\x00", place + 4):
            exif += length
        place += 2 + length
    if exif > _MAX_EXIF_BYTES:  # it is read as soon as the file is opened
        raise _too_busy(f"<= {_MAX_EXIF_BYTES} bytes of EXIF, got {exif}")
    return found


def _require_at_most(most: int, found: int, kind: str, parts: str) -> None:
    if found > most:
        raise _too_busy(f"<= {most} {parts} as a {kind} file, got more")


def _too_busy(rule: str) -> ProblemError:
    return refusal(ProblemCode.UNDECODABLE_IMAGE, f"'image' must have {rule}", pointer="/image")
