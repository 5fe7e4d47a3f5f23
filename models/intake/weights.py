"""Reading weights that were saved elsewhere, without running code from the file."""

import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from models.bundles import WeightsError

_NESTED = ("state_dict", "model_state_dict", "model", "network", "net")
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.")


def read_weights(path: Path, expected_keys: Iterable[str]) -> dict[str, Tensor]:
    """Read a state dict from a ``.safetensors`` file or a legacy ``.pth`` pickle.

    A state dict inside a checkpoint is found, and a prefix that wrappers put before every key (as
    ``DataParallel`` does) is taken off when the network itself does not have it.

    Args:
        path: the file; anything but ``.safetensors`` is read as a pickle, restricted to tensors.
        expected_keys: the keys of the network.

    Raises:
        WeightsError: if it cannot be read, or holds anything but tensors.
    """
    try:
        content = _read(path)
    except OSError as error:
        raise WeightsError(f"'weights' {path} cannot be read: {error.strerror or error}") from error
    return _without_prefix(_state_dict(content, path), tuple(expected_keys))


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


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"'weights' {path} must hold a state dict, got {type(content).__name__}")
    foreign = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(
            f"'weights' {path} must hold tensors only, got others in: {', '.join(foreign[:10])}"
        )
    return {str(key): value for key, value in content.items()}


def _without_prefix(state: dict[str, Tensor], expected: tuple[str, ...]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        own = any(key.startswith(prefix) for key in expected)
        if not own and all(key.startswith(prefix) for key in state):
            return _without_prefix(
                {key.removeprefix(prefix): value for key, value in state.items()}, expected
            )
    return state
