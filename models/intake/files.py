"""Reading a file of weights that was saved elsewhere, without running code from it."""

import pickle
import warnings
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from models.bundles import WeightsError


def read_file(path: Path) -> object:
    """Read a ``.safetensors`` file; anything else as a pickle that may hold tensors and plain values only.

    Raises:
        WeightsError: if it cannot be read, or only by running code.
    """
    try:
        return _read(path)
    except OSError as error:
        raise WeightsError(f"'weights' {path} cannot be read: {error.strerror or error}") from error


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except safetensors.SafetensorError as error:
            raise WeightsError(f"'weights' {path} must be in the safetensors format: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats, which are what this is for
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"'weights' {path} must hold tensors only; it cannot be read without running code: {reason}"
        ) from error
    except OSError:
        raise
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise WeightsError(f"'weights' {path} must be a PyTorch file: {error}") from error
