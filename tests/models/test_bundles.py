"""Bundles: written whole, read exactly, refused with the reason."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from pydantic import ValidationError

from models.bundles import (
    Card,
    bundle_digest,
    find_bundles,
    inspect_bundle,
    load_bundle,
    look_for_bundles,
    read_card,
    write_bundle,
)
from models.bundles.module import assemble
from models.errors import (
    BundleError,
    BundleExistsError,
    BundleNotFoundError,
    CardError,
    CleanSetError,
    DigestError,
    ModuleError,
    WeightsError,
)
from tests.models.support import SHIPPED, describe, grey_images, tiny_network


def edit_card(folder: Path, **changes: object) -> None:
    content: dict[str, Any] = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**content, **changes}))


def replace_hashed(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and its digest, as somebody would who made the bundle by hand."""
    import hashlib

    (folder / name).write_bytes(content)
    digests = json.loads((folder / "card.json").read_text())["digests"]
    digests[name.split(".")[0]] = hashlib.sha256(content).hexdigest()
    edit_card(folder, digests=digests)


def test_a_bundle_loads_to_the_logits_it_was_written_from(tiny_bundle: Path) -> None:
    """Same weights, same normalisation: same logits, to the bit."""
    expected = assemble(describe(), tiny_network())
    loaded = load_bundle(tiny_bundle)
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.base_classifier(images), expected(images))
    assert not any(module.training for module in loaded.base_classifier.modules())
    assert {parameter.dtype for parameter in loaded.base_classifier.parameters()} == {torch.float32}


def test_a_bundle_keeps_its_clean_images_and_examples(tiny_bundle: Path) -> None:
    """The clean set comes back as it was; an example is a PNG with the same pixels."""
    loaded = load_bundle(tiny_bundle)
    assert loaded.clean is not None
    np.testing.assert_array_equal(loaded.clean, grey_images(6))
    (example,) = loaded.card.examples
    assert (example.file, example.label, example.index) == ("00-bird.png", 2, 17)
    with Image.open(tiny_bundle / "examples" / example.file) as picture:
        np.testing.assert_array_equal(np.asarray(picture), grey_images(6)[0, 0])


def test_a_bundle_can_do_without_clean_images(tmp_path: Path) -> None:
    """Adaptation is then impossible, and nothing else."""
    write_bundle(tmp_path / "tiny", describe(), tiny_network())
    assert load_bundle(tmp_path / "tiny").clean is None


def test_writing_twice_gives_the_same_files(tiny_bundle: Path, tmp_path: Path) -> None:
    """Weights and clean set are written the same way every time, so digests repeat."""
    clean_labels = np.arange(6, dtype=np.int64) % 3
    card = write_bundle(
        tmp_path / "again", describe(), tiny_network(), clean=grey_images(6), clean_labels=clean_labels
    )
    assert card.digests == read_card(tiny_bundle).digests


def test_an_existing_bundle_is_replaced_only_when_asked(tiny_bundle: Path) -> None:
    """Nothing is lost by a second command with the same name."""
    before = load_bundle(tiny_bundle).digest
    with pytest.raises(
        BundleExistsError, match=r"must not exist yet, got .*: choose another, or give --overwrite"
    ):
        write_bundle(tiny_bundle, describe(), tiny_network(seed=1))
    assert load_bundle(tiny_bundle).digest == before
    write_bundle(tiny_bundle, describe(), tiny_network(seed=1), overwrite=True)
    assert load_bundle(tiny_bundle).digest != before


def test_overwriting_spares_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    """A mistyped folder is not deleted."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("cat")
    with pytest.raises(BundleExistsError):
        write_bundle(tmp_path / "photos", describe(), tiny_network(), overwrite=True)
    assert (tmp_path / "photos" / "cat.txt").exists()


def test_a_bundle_that_would_not_load_leaves_nothing_behind(tmp_path: Path) -> None:
    """Five classes on a network of three logits: refused, and no folder is left."""
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "tiny", describe(classes=tuple("abcde")), tiny_network())
    assert not list(tmp_path.iterdir())


def flip_byte(folder: Path) -> None:
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)


def drop_class(folder: Path) -> None:
    edit_card(folder, classes=["cat", "dog"])


def with_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        weights = safetensors.torch.load_file(folder / "weights.safetensors")
        change(weights)
        replace_hashed(folder, "weights.safetensors", safetensors.torch.save(weights))

    return damage


def with_clean(**arrays: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        replace_hashed(folder, "clean.npz", buffer.getvalue())

    return damage


@pytest.mark.parametrize(
    ("damage", "error", "reason"),
    [
        (flip_byte, DigestError, r"SHA-256 of weights.safetensors must be"),
        (
            lambda folder: (folder / "weights.safetensors").unlink(),
            BundleNotFoundError,
            r"weights.safetensors",
        ),
        (lambda folder: (folder / "clean.npz").unlink(), BundleNotFoundError, r"clean.npz"),
        (lambda folder: (folder / "card.json").unlink(), BundleNotFoundError, r"card.json"),
        (lambda folder: shutil.rmtree(folder / "examples"), BundleNotFoundError, r"examples/00-bird.png"),
        (lambda folder: (folder / "card.json").write_text("{"), CardError, r"Invalid JSON"),
        (lambda folder: edit_card(folder, colour="red"), CardError, r"'colour' .*got red"),
        (lambda folder: edit_card(folder, name="No Spaces"), CardError, r"'name' .*got No Spaces"),
        (lambda folder: edit_card(folder, format_version=2), CardError, r"'format_version'"),
        (lambda folder: edit_card(folder, mean=[0.1, 0.2]), CardError, r"'mean' must have 1 values, got 2"),
        (lambda folder: edit_card(folder, architecture="alexnet"), ModuleError, r"'architecture' .*alexnet"),
        (drop_class, CardError, r"'label' of 00-bird.png must be < 2, got 2"),
        (
            lambda folder: edit_card(folder, classes=list("abcde")),
            WeightsError,
            r"wrong shapes: linear.weight \(3, 16\) for \(5, 16\)",
        ),
        (
            with_weights(lambda weights: weights.pop("stem.weight")),
            WeightsError,
            r"missing keys: stem.weight",
        ),
        (
            with_weights(lambda weights: weights.update(extra=torch.zeros(1))),
            WeightsError,
            r"unexpected keys: extra",
        ),
        (
            with_weights(lambda weights: weights["linear.bias"].fill_(torch.nan)),
            ModuleError,
            r"finite logits",
        ),
        (
            lambda folder: replace_hashed(folder, "weights.safetensors", b"pickle"),
            WeightsError,
            r"safetensors format",
        ),
        (with_clean(images=grey_images(3, size=9)), CleanSetError, r"got uint8 \(3, 1, 9, 9\)"),
        (with_clean(images=grey_images(3) / 255), CleanSetError, r"got float64"),
        (with_clean(pictures=grey_images(3)), CleanSetError, r"an array 'images'"),
        (with_clean(images=np.array([{}], dtype=object)), CleanSetError, r"allow_pickle"),
    ],
)
def test_damaged_bundles_are_refused_with_the_reason(
    tiny_bundle: Path, damage: Callable[[Path], object], error: type[BundleError], reason: str
) -> None:
    """Each fault has its own error and says what is wrong with what."""
    damage(tiny_bundle)
    with pytest.raises(error, match=reason):
        inspect_bundle(tiny_bundle)


def test_batch_counters_may_be_missing(tiny_bundle: Path) -> None:
    """Old files lack the counters of batch normalisation, and no answer depends on them."""

    def drop_counters(weights: dict[str, torch.Tensor]) -> None:
        for key in [key for key in weights if key.endswith("num_batches_tracked")]:
            del weights[key]

    with_weights(drop_counters)(tiny_bundle)
    inspect_bundle(tiny_bundle)


def test_half_precision_weights_become_float32(tiny_bundle: Path) -> None:
    """Bundles may store half precision; a loaded classifier never computes in it unasked."""

    def halve(weights: dict[str, torch.Tensor]) -> None:
        weights.update({key: value.half() for key, value in weights.items() if value.is_floating_point()})

    with_weights(halve)(tiny_bundle)
    classifier = load_bundle(tiny_bundle).base_classifier
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "renamed"},
        {"command": "another"},
        {"recipe": "standard"},
        {"sigma_train": 0.1},
        {"recommended": {"sigma": 1.0, "sigma_grid": [1.0], "n": 7}},
        {"training_data": {"name": "other"}},
        {"metrics": [{"metric": "acr", "value": 0.5, "n": 10, "sigma": 0.5, "command": "radii evaluate"}]},
        {"examples": []},
        {"created": "2020-01-01T00:00:00Z"},
    ],
)
def test_the_digest_ignores_what_only_describes(tiny_bundle: Path, changes: dict[str, object]) -> None:
    """A corrected text does not make old certificates void."""
    before = load_bundle(tiny_bundle).digest
    edit_card(tiny_bundle, **changes)
    assert load_bundle(tiny_bundle).digest == before


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "cifar_resnet110"},
        {"architecture": None, "entry_point": "pkg.module:build"},
        {"arguments": {"width": 3}},
        {"classes": ["dog", "cat", "bird"]},
        {"input_shape": [1, 9, 8]},
        {"mean": [0.31]},
        {"std": [0.41]},
        {"fit": {"resize": 8}},
        {"digests": {"weights": "0" * 64, "clean": None}},
    ],
)
def test_the_digest_covers_all_that_changes_an_answer(tiny_bundle: Path, changes: dict[str, object]) -> None:
    """Another function, or other words for its classes, has another digest."""
    before = bundle_digest(read_card(tiny_bundle))
    edit_card(tiny_bundle, **changes)
    assert bundle_digest(read_card(tiny_bundle)) != before


def test_the_digest_covers_the_clean_images(tiny_bundle: Path) -> None:
    """The adapted classifier is made of them."""
    before = bundle_digest(read_card(tiny_bundle))
    with_clean(images=grey_images(6, seed=1))(tiny_bundle)
    assert load_bundle(tiny_bundle).digest != before


def test_a_card_survives_json() -> None:
    """What is written is what is read, to the digest."""
    card = read_card(SHIPPED)
    assert Card.model_validate_json(card.model_dump_json()) == card


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"entry_point": "pkg.module:build"}, "exactly one of 'architecture' and 'entry_point'"),
        ({"architecture": None, "entry_point": "no colon"}, "entry_point"),
        ({"classes": ("cat", "cat", "dog")}, "different names"),
        ({"classes": ("cat",)}, "at least 2"),
        ({"std": (0.0,)}, "greater than 0"),
        ({"mean": (float("nan"),)}, "finite"),
        ({"input_shape": (1, 0, 8)}, "greater than 0"),
        ({"fit": {"resize": 7}}, "'fit.resize' must be >= 8, got 7"),
    ],
)
def test_contradictory_descriptions_are_refused(changes: dict[str, object], reason: str) -> None:
    """A card cannot say what no classifier can be."""
    with pytest.raises(ValidationError, match=reason):
        describe(**changes)


def test_shipped_bundles_are_found_by_name() -> None:
    """Without further places, there are those that come with the project."""
    assert find_bundles()["fashion-mnist-gaussian"] == SHIPPED


def test_a_place_is_a_bundle_or_a_folder_of_bundles(tiny_bundle: Path) -> None:
    """Both forms find the same bundle; naming it twice is no conflict."""
    found = find_bundles([tiny_bundle, tiny_bundle.parent])
    assert found["tiny"].samefile(tiny_bundle)


def test_two_bundles_of_one_name_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """A request could not say which it means."""
    shutil.copytree(tiny_bundle, tmp_path / "copies" / "other")
    with pytest.raises(BundleExistsError, match="'name' must be unique, got tiny"):
        find_bundles([tiny_bundle, tmp_path / "copies"])


def test_a_folder_at_fault_hides_no_other(tiny_bundle: Path, tmp_path: Path) -> None:
    """Each is told of with its reason; the first of two of one name stays what it was."""
    copies = tmp_path / "copies"
    shutil.copytree(tiny_bundle, copies / "again")
    shutil.copytree(tiny_bundle, copies / "broken")
    (copies / "broken" / "card.json").write_text("{")
    found = look_for_bundles([tiny_bundle, copies])
    assert found.folders == {**find_bundles(), "tiny": tiny_bundle}
    assert {folder.name: type(fault) for folder, fault in found.faults.items()} == {
        "again": BundleExistsError,
        "broken": CardError,
    }
    with pytest.raises(CardError, match=r"broken/card\.json"):
        find_bundles([tiny_bundle, copies / "broken"])


def test_a_place_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A mistyped folder is not the same as an empty one."""
    with pytest.raises(BundleNotFoundError, match="nowhere"):
        find_bundles([tmp_path / "nowhere"])
