"""Reads a file of weights from elsewhere, without running code from it."""

import pickle
import warnings
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from models.bundles import WeightsError
from models.intake.pickles import read_pickle


def read_file(path: Path) -> tuple[object, tuple[str, ...]]:
    """Read a ``.safetensors`` file, or the tensors and plain values of a pickle.

    Returns:
        The content, with ``UNKNOWN`` in place of every other object, and the names of the classes and
        functions of these objects, none of which is imported or run.

    Raises:
        WeightsError: if it cannot be read.
    """
    try:
        return _read(path)
    except OSError as error:
        raise WeightsError(f"'weights' {path} cannot be read: {error.strerror or error}") from error


def _read(path: Path) -> tuple[object, tuple[str, ...]]:
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path), ()
        except safetensors.SafetensorError as error:
            raise WeightsError(f"'weights' {path} must be in the safetensors format: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats, which this function is for
            return torch.load(path, map_location="cpu", weights_only=True), ()
    except pickle.UnpicklingError:
        return _read_pickle(path)
    except OSError:
        raise
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise WeightsError(f"'weights' {path} must be a PyTorch file: {error}") from error


def _read_pickle(path: Path) -> tuple[object, tuple[str, ...]]:
    try:
        return read_pickle(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"'weights' {path} must be a PyTorch file of tensors, readable without running code: {error}"
        ) from error
