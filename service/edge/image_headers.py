"""Refuses image files whose headers are built to keep a decoder busy.

Pillow bounds the pixels of a file, but not the number of parts in its header. Each part costs a step of
Python, and twelve megabytes of empty ones take many seconds. Real pictures stay far below these bounds.
"""

import struct
from typing import Final

from PIL import Image

from contract.choices import ProblemCode
from contract.problems import ProblemError, refusal

_MAX_PNG_CHUNKS: Final = 4_000  # a picture of the largest size has chunks of a kilobyte or more
_MAX_JPEG_SEGMENTS: Final = 500  # a colour profile alone may have 255
_MAX_JPEG_SCANS: Final = 64  # a progressive picture has about ten, and each visits every block
_MAX_EXIF_BYTES: Final = 65_536  # the most that a JPEG can hold
_RUN_LENGTH_ENCODED: Final = (1, 2)
_START_OF_SCAN: Final = b"\xff\xda"


def require_short_header(upload: bytes) -> None:
    """Refuses a PNG or JPEG with too many parts.

    Raises:
        ProblemError: Names the part and the bound.
    """
    if upload.startswith(b"\x89PNG"):
        _require_at_most(_MAX_PNG_CHUNKS, _png_chunks(upload), "PNG", "chunks")
    elif upload.startswith(b"\xff\xd8"):
        _require_at_most(_MAX_JPEG_SEGMENTS, _jpeg_segments(upload), "JPEG", "segments before its first scan")
        _require_at_most(_MAX_JPEG_SCANS, upload.count(_START_OF_SCAN), "JPEG", "scans")


def require_plain(image: Image.Image) -> None:
    """Refuses a run-length encoded BMP and oversized EXIF, which are slow to read.

    Raises:
        ProblemError: It is one of them.
    """
    # Pillow decodes run lengths in Python, byte by byte.
    if image.format == "BMP" and image.info.get("compression") in _RUN_LENGTH_ENCODED:
        detail = "'image' must be an uncompressed BMP, got a run-length encoded one"
        raise refusal(ProblemCode.UNSUPPORTED_IMAGE_TYPE, detail, pointer="/image")
    exif = len(image.info.get("exif", b"")) + len(image.info.get("Raw profile type exif", "")) // 2
    if exif > _MAX_EXIF_BYTES:
        raise _too_busy(f"<= {_MAX_EXIF_BYTES} bytes of EXIF, got {exif}")


def _png_chunks(upload: bytes) -> int:
    """Counts chunks, up to one more than allowed."""
    place, found = 8, 0
    while place + 8 <= len(upload) and found <= _MAX_PNG_CHUNKS:
        (length,) = struct.unpack_from(">I", upload, place)
        place += 12 + length
        found += 1
    return found


def _jpeg_segments(upload: bytes) -> int:
    """Counts segments, and stray bytes between them, up to the first scan or one more than allowed."""
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
    if exif > _MAX_EXIF_BYTES:  # Pillow parses EXIF when it opens the file
        raise _too_busy(f"<= {_MAX_EXIF_BYTES} bytes of EXIF, got {exif}")
    return found


def _require_at_most(most: int, found: int, kind: str, parts: str) -> None:
    if found > most:
        raise _too_busy(f"<= {most} {parts} as a {kind} file, got more")


def _too_busy(rule: str) -> ProblemError:
    return refusal(ProblemCode.UNDECODABLE_IMAGE, f"'image' must have {rule}", pointer="/image")
