"""Reads the tensors of a PyTorch file that also contains objects of unknown code, without running that code.

MadryLab's robustness, for example, saves NumPy numbers and other objects, pickled by dill. ``torch.load``
either refuses such a file or trusts it. With stand-ins in ``torch.serialization.safe_globals`` it still
refuses objects that get items (a ``defaultdict`` or ``deque``, functions of dill) and any name in ``os`` or
``sys``; and the list of safe names, which only a zip file yields, holds for the whole process. It accepts
another unpickler, but then also loads TorchScript, unpacks tar files and compares the sources of modules. So
its two formats are read here, and nothing else happens.

Reference: torch/serialization.py.
"""

import functools
import io
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from models.intake.inert import InertUnpickler


def read_pickle(path: Path) -> tuple[object, tuple[str, ...]]:
    """Read a file that ``torch.save`` wrote, with any pickle module, in the zip or the legacy format.

    Returns:
        The content, with ``UNKNOWN`` in place of every object that is neither a tensor nor a plain value, and
        the names of the classes and functions of these objects.

    Raises:
        OSError: if the file cannot be read.
        UnpicklingError: if ``torch.save`` did not write it.
    """
    unknown: dict[str, None] = {}
    with path.open("rb") as file:
        read = _read_archive if zipfile.is_zipfile(file) else _read_legacy
        file.seek(0)
        try:
            return read(file, unknown), tuple(unknown)
        except OSError:
            raise
        except Exception as error:  # a damaged or hostile file may raise anything
            raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error


def _read_archive(file: io.BufferedReader, unknown: dict[str, None]) -> object:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        program = next((name for name in names if name.endswith("/data.pkl")), "data.pkl")
        folder = program.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        _require_order(archive.read(order).decode() if order in names else sys.byteorder)

        @functools.cache
        def content(key: str) -> bytearray:
            return bytearray(archive.read(f"{folder}data/{key}"))

        def storage(dtype: torch.dtype, key: str, numel: int) -> Tensor:
            return _flat(content(key), dtype, numel)

        return InertUnpickler(io.BytesIO(archive.read(program)), storage, unknown).load()


def _read_legacy(file: io.BufferedReader, unknown: dict[str, None]) -> object:
    """Read the legacy format: several pickles, then for each storage its length and its numbers."""
    contents: dict[str, tuple[int, bytearray]] = {}

    def storage(dtype: torch.dtype, key: str, numel: int) -> Tensor:
        if key not in contents:
            contents[key] = numel, bytearray(numel * dtype.itemsize)
        return _flat(contents[key][1], dtype, numel)

    def load() -> Any:
        return InertUnpickler(file, storage, unknown).load()

    if load() != MAGIC_NUMBER or load() != PROTOCOL_VERSION:
        raise pickle.UnpicklingError("the file must start with the header of torch.save")
    _require_order("little" if load()["little_endian"] else "big")
    result = load()
    for key in load():
        numel, content = contents[key]
        if int.from_bytes(file.read(8), "little") != numel or file.readinto(content) != len(content):
            raise pickle.UnpicklingError(f"storage {key} must be complete")
    return result


def _flat(content: bytearray, dtype: torch.dtype, numel: int) -> Tensor:
    if numel == 0:  # frombuffer refuses an empty buffer
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype, count=numel)


def _require_order(order: str) -> None:
    if order != sys.byteorder:
        raise pickle.UnpicklingError(f"the byte order must be {sys.byteorder}, got {order}")
