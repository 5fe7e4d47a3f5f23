"""How pixels travel: height × width × channels interleaved bytes, named by their digest."""

import hashlib


def pixel_digest(pixels: bytes, height: int, width: int, channels: int) -> str:
    """Returns the SHA-256 (hexadecimal) of an image's pixels and shape: the name of the certified point."""
    header = f"radii:image:v1:{height}x{width}x{channels}:".encode()
    return hashlib.sha256(header + pixels).hexdigest()
