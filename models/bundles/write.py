"""Writes bundles atomically: a complete bundle, or nothing."""

import hashlib
import io
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import safetensors.torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from models.bundles.card import Card, Description, Digests, Example
from models.bundles.read import CARD, CLEAN, EXAMPLES, WEIGHTS, check_clean, inspect_bundle
from models.errors import BundleError, BundleExistsError, WeightsError


@dataclass(frozen=True)
class ExampleImage:
    """An image ``(c, h, w)`` uint8 with its true class and its position in the test split."""

    image: NDArray[np.uint8]
    label: int
    index: int | None = None


def write_bundle(
    folder: Path,
    description: Description,
    network: nn.Module,
    *,
    clean: NDArray[np.uint8] | None = None,
    clean_labels: NDArray[np.int64] | None = None,
    examples: Sequence[ExampleImage] = (),
    extra_files: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Card:
    """Write a bundle to a temporary folder, verify it, and then move it to its place.

    Args:
        folder: the folder of the bundle; a missing parent is created.
        description: the card without digests, examples and date.
        network: maps normalised images to logits; its state dict becomes the weights file.
        clean: clean images ``(m, c, h, w)`` uint8.
        clean_labels: their classes ``(m,)``.
        examples: written as PNG files.
        extra_files: more text files by name, such as a licence.
        overwrite: whether an existing bundle in ``folder`` is replaced.

    Raises:
        BundleExistsError: if ``folder`` exists and may not be replaced.
        BundleError: if the written bundle does not verify.
    """
    require_free(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        draft.chmod(0o755)  # mkdtemp makes it 0700, but a worker of another user must read it
        digests = Digests(
            weights=_write(draft / WEIGHTS, safetensors.torch.save(_tensors(network))),
            clean=None if clean is None else _write_clean(draft, description, clean, clean_labels),
        )
        for name, text in (extra_files or {}).items():
            _write(draft / Path(name).name, text.encode())
        card = Card(
            **description.model_dump(include=set(Description.model_fields)),
            examples=_write_examples(draft, description, examples),
            digests=digests,
            created=datetime.now(UTC).replace(microsecond=0),
        )
        _write(draft / CARD, (card.model_dump_json(indent=2) + "\n").encode())
        inspect_bundle(draft)
        _move(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return card


def require_free(folder: Path, *, overwrite: bool = False, key: str = "folder") -> None:
    """Refuse a folder that exists, unless it is a bundle that may be replaced.

    Raises:
        BundleExistsError: if it is refused; the message calls the folder ``key``.
    """
    is_bundle = (folder / CARD).is_file()
    if folder.exists() and not (overwrite and is_bundle):
        rule = "be a bundle, with a card, to be replaced" if overwrite else "not exist yet"
        advice = ": choose another, or give --overwrite" if is_bundle else ""
        raise BundleExistsError(f"'{key}' must {rule}, got {folder}{advice}")


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    state = network.state_dict()
    foreign = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(f"the state dict must contain only tensors, got others in: {', '.join(foreign)}")
    # Copies, because safetensors does not allow shared memory, which tied weights have.
    return {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}


def _write_clean(
    draft: Path, description: Description, images: NDArray[np.uint8], labels: NDArray[np.int64] | None
) -> str:
    arrays: dict[str, NDArray[np.generic]] = {"images": check_clean(images, description.input_shape)}
    if labels is not None:
        arrays["labels"] = labels
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return _write(draft / CLEAN, buffer.getvalue())


def _write_examples(draft: Path, description: Description, examples: Sequence[ExampleImage]) -> list[Example]:
    if examples:
        (draft / EXAMPLES).mkdir()
    written = []
    for number, example in enumerate(examples):
        if example.image.shape[0] not in (1, 3):
            raise BundleError(f"an example must have 1 or 3 channels, got {example.image.shape}")
        label = re.sub(r"[^a-z0-9]+", "-", description.classes[example.label].lower()).strip("-")
        file = f"{number:02d}-{label}.png"
        pixels = example.image[0] if len(example.image) == 1 else example.image.transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(draft / EXAMPLES / file)
        written.append(Example(file=file, label=example.label, index=example.index))
    return written


def _move(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    # Renames are atomic, so a reader finds the old bundle, the new one or none, never a mixture.
    replaced = draft.with_suffix(".old")
    folder.rename(replaced)
    draft.rename(folder)
    shutil.rmtree(replaced)
