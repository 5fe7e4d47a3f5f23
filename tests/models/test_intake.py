"""Any pretrained classifier becomes a bundle that gives the same logits."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from PIL import Image
from torch import nn

from models.architectures import build_architecture
from models.bundles import Fit, load_bundle
from models.errors import BundleError, CardError, CleanSetError, ModuleError, WeightsError
from models.intake import create_bundle, parse_arguments, parse_classes, read_checkpoint, read_clean
from tests.models.support import grey_images, tiny_network

GREY: dict[str, Any] = {"input_shape": (1, 8, 8), "mean": (0.3,), "std": (0.4,), "classes": ("a", "b", "c")}
TINY: dict[str, Any] = {**GREY, "source": "preact_resnet18", "arguments": {"width": 2}}
USERS_MODULE = """
from torch import nn

def build(hidden):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 3))

def text():
    return "no module"
"""


def write_module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (folder / f"{name}.py").write_text(USERS_MODULE)
    monkeypatch.syspath_prepend(folder)


def users_network(hidden: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 3))


def test_torchvision_resnet18_gives_the_same_logits_from_the_bundle(tmp_path: Path) -> None:
    """A state dict of torchvision's own network, saved as .pth, is read as it is."""
    network = torchvision.models.resnet18(weights=None, num_classes=4).eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    create_bundle(
        tmp_path / "resnet",
        source="torchvision:resnet18",
        classes=parse_classes("4"),
        input_shape=(3, 64, 64),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        weights=tmp_path / "resnet18.pth",
    )
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = network((images - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1))
        logits = load_bundle(tmp_path / "resnet").base_classifier(images)
    torch.testing.assert_close(logits, expected)


def test_a_users_own_module_gives_the_same_logits_from_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An importable callable and a safetensors file are enough."""
    write_module(tmp_path, monkeypatch, "users_package")
    network = users_network(5)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    card = create_bundle(
        tmp_path / "own",
        source="users_package:build",
        arguments={"hidden": 5},
        weights=tmp_path / "weights.safetensors",
        **GREY,
    )
    assert (card.entry_point, card.architecture) == ("users_package:build", None)
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        load_bundle(tmp_path / "own").base_classifier(images), network((images - 0.3) / 0.4)
    )


def test_timm_models_become_bundles(tmp_path: Path) -> None:
    """A network of timm is rebuilt from its name."""
    pytest.importorskip("timm", reason="timm is optional")
    create_bundle(tmp_path / "timm", **{**TINY, "source": "timm:test_resnet", "arguments": {}})
    load_bundle(tmp_path / "timm")


def test_random_weights_are_decided_by_the_seed(tmp_path: Path) -> None:
    """Without weights, the same command gives the same bundle, and global randomness is left alone."""
    state = torch.get_rng_state()
    digests = [
        create_bundle(tmp_path / name, seed=seed, **TINY).digests.weights
        for name, seed in (("one", 1), ("again", 1), ("two", 2))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("nesting", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_wrapped_state_dicts_are_unwrapped(tmp_path: Path, nesting: str, prefix: str) -> None:
    """Checkpoints nest the state dict, and wrappers put a prefix before every key."""
    state = tiny_network().state_dict()
    prefixed: dict[str, Any] = {prefix + key: value for key, value in state.items()}
    torch.save({nesting: prefixed, "epoch": 3} if nesting else prefixed, tmp_path / "weights.pth")
    read = read_checkpoint(tmp_path / "weights.pth", state).weights
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_two_networks_under_one_name_are_refused(tmp_path: Path) -> None:
    """Under ``model.`` and ``net.``, as a student and its teacher are: which one is wanted nobody can tell."""
    state, other = tiny_network(seed=0).state_dict(), tiny_network(seed=1).state_dict()
    both = {f"model.{key}": value for key, value in state.items()}
    torch.save({**both, **{f"net.{key}": value for key, value in other.items()}}, tmp_path / "two.pth")
    with pytest.raises(WeightsError, match=r"must be equal, .*: model.stem.weight and net.stem.weight"):
        create_bundle(tmp_path / "bundle", weights=tmp_path / "two.pth", **TINY)
    assert not (tmp_path / "bundle").exists()
    torch.save({**both, **{f"net.{key}": value for key, value in state.items()}}, tmp_path / "same.pth")
    read = read_checkpoint(tmp_path / "same.pth", state).weights
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_standard_deviations_alone_are_used_with_the_mean_that_is_given(tmp_path: Path) -> None:
    """Left out, they would make it another classifier; a mean that nobody gave would be a guess."""
    state = tiny_network().state_dict()
    state["normalize.std"] = torch.tensor([0.2])
    torch.save(state, tmp_path / "weights.pth")
    asked = {**TINY, "weights": tmp_path / "weights.pth", "std": None}
    said: list[str] = []
    card = create_bundle(tmp_path / "bundle", say=said.append, **asked)
    assert (card.mean, card.std) == ((0.3,), pytest.approx((0.2,)))
    assert said == ["its normalisation layer has standard deviations, and no means (0.2)"]
    with pytest.raises(WeightsError, match=r"'mean' must be given, .* \(0\.2.*got None"):
        create_bundle(tmp_path / "guessed", **{**asked, "mean": None})
    with pytest.raises(WeightsError, match=r"'std' must be that of the checkpoint's .* got \(0.4,\)"):
        create_bundle(tmp_path / "other", **{**asked, "std": (0.4,)})


def test_every_missing_and_unused_key_is_named(tmp_path: Path) -> None:
    """The report is complete, so that one look is enough."""
    state = tiny_network().state_dict()
    del state["stem.weight"], state["linear.bias"]
    state["head.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(
        WeightsError, match=r"missing keys: stem.weight, linear.bias; unexpected keys: head.weight"
    ):
        create_bundle(tmp_path / "bundle", weights=tmp_path / "weights.pth", **TINY)


def test_unused_weights_may_be_left_out_on_request(tmp_path: Path) -> None:
    """A second head of a pretrained network need not stop anyone who says so."""
    state = tiny_network().state_dict()
    state["auxiliary.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "weights.pth")
    create_bundle(tmp_path / "bundle", weights=tmp_path / "weights.pth", allow_unused=True, **TINY)
    load_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "must be a PyTorch file"), (b"text, not weights", "must be a PyTorch file")],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Neither an empty nor a foreign file is a traceback."""
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        read_checkpoint(tmp_path / "weights.pth", [])


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"classes": ("a", "b")}, ModuleError, r"one logit per class, \(2, 2\) for two images, got \(2, 3\)"),
        ({"arguments": {}}, ModuleError, r"hidden"),
        ({"source": "nowhere_at_all:build"}, ModuleError, r"nowhere_at_all"),
        ({"source": "own_code:missing"}, ModuleError, r"missing"),
        ({"source": "own_code:text", "arguments": {}}, ModuleError, r"must return a torch module, got str"),
        ({"input_shape": (1, 9, 9)}, ModuleError, r"must accept images \(2, 1, 9, 9\)"),
        ({"std": (0.0,)}, CardError, r"'std.0' .*got 0.0"),
        ({"name": "Not A Name"}, CardError, r"'name' .*got Not A Name"),
        ({"weights": Path("nowhere.pth")}, WeightsError, r"nowhere.pth cannot be read"),
        ({"clean": Path("nowhere.npz")}, CleanSetError, r"nowhere.npz"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    error: type[BundleError],
    reason: str,
) -> None:
    """Each fault is found before anything is written."""
    write_module(tmp_path, monkeypatch, "own_code")
    fields = {**GREY, "source": "own_code:build", "arguments": {"hidden": 5}, **changes}
    with pytest.raises(error, match=reason):
        create_bundle(tmp_path / "bundle", **fields)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_of_pictures_becomes_the_clean_set(tmp_path: Path) -> None:
    """Pictures are taken evenly over sorted sub-folders, and fitted when allowed."""
    for label in "ab":
        (tmp_path / label).mkdir()
        for number, image in enumerate(grey_images(4, size=10)):
            Image.fromarray(image[0]).save(tmp_path / label / f"{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert read_clean(tmp_path, (1, 10, 10)).shape == (8, 1, 10, 10)
    assert read_clean(tmp_path, (1, 8, 8), Fit(resize=8), count=4).shape == (4, 1, 8, 8)
    with pytest.raises(CleanSetError, match=r"0.png: 'image' must be 8x8 pixels, got 10x10"):
        read_clean(tmp_path, (1, 8, 8))


@pytest.mark.parametrize("key", ["images", "x"])
def test_an_npz_becomes_the_clean_set(tmp_path: Path, key: str) -> None:
    """One array of any name, or the one named images."""
    np.savez(tmp_path / "clean.npz", **{key: grey_images(5)})  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_clean(tmp_path / "clean.npz", (1, 8, 8)), grey_images(5))


def test_an_entry_that_is_no_array_is_refused(tmp_path: Path) -> None:
    """NumPy reads such an entry of an archive as bytes."""
    with zipfile.ZipFile(tmp_path / "clean.npz", "w") as archive:
        archive.writestr("images", b"text, not pictures")
    with pytest.raises(CleanSetError, match=r"must be uint8 images"):
        read_clean(tmp_path / "clean.npz", (1, 8, 8))


def test_a_bundle_with_clean_pictures_holds_them(tmp_path: Path) -> None:
    """The clean set travels with the bundle."""
    np.savez(tmp_path / "clean.npz", images=grey_images(5))
    create_bundle(tmp_path / "bundle", clean=tmp_path / "clean.npz", **TINY)
    np.testing.assert_array_equal(load_bundle(tmp_path / "bundle").clean, grey_images(5))


def test_classes_are_a_count_a_list_or_a_file(tmp_path: Path) -> None:
    """The three forms of the command line."""
    (tmp_path / "classes.txt").write_text("cat\n\ndog\n")
    assert parse_classes("3") == ("0", "1", "2")
    assert parse_classes("cat, dog") == ("cat", "dog")
    assert parse_classes(str(tmp_path / "classes.txt")) == ("cat", "dog")


def test_arguments_are_json_where_they_can_be() -> None:
    """Numbers and booleans keep their type; other text is text."""
    words = ["width=16", "deep=true", "act=relu", "sizes=[1, 2]", "text=a=b"]
    expected = {"width": 16, "deep": True, "act": "relu", "sizes": [1, 2], "text": "a=b"}
    assert parse_arguments(words) == expected
    with pytest.raises(CardError, match="'arg' must be key=value, got 'width'"):
        parse_arguments(["width"])


def test_wrapped_networks_with_the_prefix_as_their_own_keep_it() -> None:
    """A network whose own keys start with ``model.`` is not stripped of them."""
    network = nn.ModuleDict({"model": build_architecture("preact_resnet18", 3, 1, {"width": 2})})
    assert all(key.startswith("model.") for key in network.state_dict())
