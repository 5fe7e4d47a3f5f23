"""Reads a file of weights from elsewhere, without running code from it."""

import pickle
import warnings
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from models.errors import WeightsError
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
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path), ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats, which this function is for
            try:
                return torch.load(path, map_location="cpu", weights_only=True), ()
            except pickle.UnpicklingError:  # of objects of other code: their tensors are read nevertheless
                return read_pickle(path)
    except OSError as error:
        raise WeightsError(f"'weights' {path} cannot be read: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:
        raise WeightsError(f"'weights' {path} must be in the safetensors format: {error}") from error
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise WeightsError(
            f"'weights' {path} must be a PyTorch file of tensors, readable without running code: {error}"
        ) from error
