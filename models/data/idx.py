"""Reads the idx format of MNIST and similar data sets, plain or gzipped.

Layout: two zero bytes, a type byte (0x08: unsigned 8-bit), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values in C order.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import DatasetError

_UNSIGNED_BYTE = 0x08
_MAX_BYTES = 1 << 32  # no such data set is larger: stops gzip bombs


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes with the given number of dimensions.

    Raises:
        DatasetError: if the file cannot be read, is not idx, or its length does not match its header.
    """
    content = _read_bytes(path)
    if len(content) < 4:
        raise DatasetError(f"{path.name}: an idx file has at least 4 bytes, got {len(content)}")
    zeros, kind, count = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind != _UNSIGNED_BYTE:
        raise DatasetError(f"{path.name}: magic must be 0x000008.., got 0x{content[:4].hex()}")
    if count != dimensions:
        raise DatasetError(f"{path.name}: must have {dimensions} dimensions, got {count}")
    header = 4 + 4 * count
    if len(content) < header:
        raise DatasetError(f"{path.name}: the header must have {header} bytes, got {len(content)}")
    shape = struct.unpack(f">{count}I", content[4:header])
    if math.prod(shape) != len(content) - header:
        raise DatasetError(
            f"{path.name}: shape {shape} needs {math.prod(shape)} bytes of data, got {len(content) - header}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape).copy()


def _read_bytes(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            content = file.read(_MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path.name}: cannot be read: {error}") from error
    return content
