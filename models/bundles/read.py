"""Reads and checks bundles. Nothing here unpickles."""

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import safetensors
import safetensors.torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from models.bundles.card import Card, bundle_digest
from models.bundles.module import assemble, build_network, load_weights
from models.errors import BundleNotFoundError, CardError, CleanSetError, DigestError, WeightsError, faults

CARD, WEIGHTS, CLEAN, EXAMPLES = "card.json", "weights.safetensors", "clean.npz", "examples"


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle in memory.

    Attributes:
        card: its card.
        base_classifier: images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``; float32, CPU, eval mode.
        digest: SHA-256 of everything that affects an answer (`bundle_digest`).
        clean: clean images ``(m, c, h, w)`` uint8 for adaptation, or None.
    """

    card: Card
    base_classifier: nn.Module
    digest: str
    clean: NDArray[np.uint8] | None


def read_card(folder: Path) -> Card:
    """Read and validate ``card.json``, and nothing else.

    Raises:
        BundleNotFoundError: if there is no card.
        CardError: if the card breaks a rule; the message names the field.
    """
    try:
        return Card.model_validate_json(_read(folder, CARD))
    except ValidationError as error:
        raise CardError(f"{folder.name}/{CARD}: {faults(error, 'card')}") from error


def inspect_bundle(folder: Path) -> LoadedBundle:
    """Check a bundle completely (digests, weights, classes, clean set, examples), and return it.

    Raises:
        BundleError: the subclass and the message say which check failed.
    """
    bundle = load_bundle(folder)
    for example in bundle.card.examples:
        if not (folder / EXAMPLES / example.file).is_file():
            raise BundleNotFoundError(f"{folder.name}: {EXAMPLES}/{example.file} is missing")
    return bundle


def load_bundle(folder: Path) -> LoadedBundle:
    """Read a bundle after checking that its files have the digests of its card.

    Raises:
        BundleError: the subclass and the message say which check failed.
    """
    card = read_card(folder)
    weights = _parse_weights(_read_hashed(folder, WEIGHTS, card.digests.weights))
    clean = None
    if card.digests.clean is not None:
        content = _read_hashed(folder, CLEAN, card.digests.clean)
        arrays = read_arrays(io.BytesIO(content), f"{CLEAN} must be an npz file")
        if "images" not in arrays:
            raise CleanSetError(f"{CLEAN} must have an array 'images', got {sorted(arrays)}")
        clean = check_clean(arrays["images"], card.input_shape)
    network = build_network(card)
    load_weights(network, weights)
    return LoadedBundle(card, assemble(card, network), bundle_digest(card), clean)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleNotFoundError(f"{folder.name}: {name} cannot be read: {error.strerror}") from error


def _read_hashed(folder: Path, name: str, digest: str) -> bytes:
    """Read a file once, so that the hashed bytes are the ones that are used."""
    content = _read(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DigestError(f"{folder.name}: SHA-256 of {name} must be {digest}, got {found}")
    return content


def _parse_weights(content: bytes) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{WEIGHTS} must be in the safetensors format: {error}") from error


def read_arrays(source: Path | IO[bytes], rule: str) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an npz file by name; the one of an npy file is named ``images``.

    Raises:
        CleanSetError: if it is neither, or has Python objects in it; the message begins with the rule.
    """
    try:
        content = np.load(source, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"images": np.atleast_1d(content)}
        with content:  # NumPy reads an entry that is no array as bytes, and a number has no length
            return {name: np.atleast_1d(entry) for name, entry in content.items()}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CleanSetError(f"{rule}: {error}") from error


def check_clean(images: NDArray[np.generic], input_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the images of a clean set after checking that they are uint8 and have the card's shape.

    Raises:
        CleanSetError: if they are not.
    """
    if images.dtype != np.uint8 or images.shape[1:] != input_shape or len(images) == 0:
        raise CleanSetError(
            f"the clean set must be uint8 images {('m', *input_shape)}, got {images.dtype} {images.shape}"
        )
    return images.astype(np.uint8, copy=False)
