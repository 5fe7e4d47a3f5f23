"""Checkpoints in the formats of public code give the classifiers that this code would have run.

The networks here are laid out and named as in the public repositories; the files are what these save.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from models.architectures import build_architecture
from models.bundles import WeightsError, load_bundle
from models.intake import create_bundle, parse_classes
from radii.main import app

MEAN, STD = (0.49, 0.48, 0.45), (0.2, 0.21, 0.22)
CLASSES = parse_classes("4")
SHAPE = (3, 16, 16)


class ThinBlock(nn.Module):
    """A block of locuslab/smoothing's archs/cifar_resnet.py."""

    def __init__(self, inside: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + residual)


class ThinResNet(nn.Module):
    """ResNet-20 of the same file."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(ThinBlock(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(ThinBlock(16, 32, 2), ThinBlock(32, 32, 1), ThinBlock(32, 32, 1))
        self.layer3 = nn.Sequential(ThinBlock(32, 64, 2), ThinBlock(64, 64, 1), ThinBlock(64, 64, 1))
        self.fc = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        logits: Tensor = self.fc(out.mean(dim=(2, 3)))
        return logits


class PreActBlock(nn.Module):
    """A block of locuslab/robust_overfitting's preactresnet.py."""

    def __init__(self, inside: int, planes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        if stride != 1 or inside != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, planes, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv2(functional.relu(self.bn2(self.conv1(out))))
        return out + shortcut


class PreActResNet18(nn.Module):
    """The network of the same file, of width 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.layer1 = nn.Sequential(PreActBlock(4, 4, 1), PreActBlock(4, 4, 1))
        self.layer2 = nn.Sequential(PreActBlock(4, 8, 2), PreActBlock(8, 8, 1))
        self.layer3 = nn.Sequential(PreActBlock(8, 16, 2), PreActBlock(16, 16, 1))
        self.layer4 = nn.Sequential(PreActBlock(16, 32, 2), PreActBlock(32, 32, 1))
        self.bn = nn.BatchNorm2d(32)
        self.linear = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        logits: Tensor = self.linear(functional.relu(self.bn(out)).mean(dim=(2, 3)))
        return logits


class Normalizer(nn.Module):
    """MadryLab's InputNormalize."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("new_mean", torch.tensor(MEAN)[..., None, None])
        self.register_buffer("new_std", torch.tensor(STD)[..., None, None])


class Attacker(nn.Module):
    """MadryLab's Attacker: holds the network and a normalisation of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.normalize = Normalizer()
        self.model = model


class AttackerModel(nn.Module):
    """MadryLab's AttackerModel: the network twice, and the normalisation twice."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.normalizer = Normalizer()
        self.model = model
        self.attacker = Attacker(model)


def trained(network: nn.Module) -> nn.Module:
    """Gives every weight and statistic a value of its own."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(0.5 + torch.rand(value.shape, generator=generator) if "running_var" in name
                            else 0.1 * torch.randn(value.shape, generator=generator))  # fmt: skip
    return network.eval()


def inside(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in network.state_dict().items()}


def locuslab(network: nn.Module, prefix: str) -> dict[str, Any]:
    """What train.py of locuslab/smoothing saves: a Sequential of a normalisation without state and a network."""
    return {
        "epoch": 90,
        "arch": "cifar_resnet20",
        "state_dict": inside(prefix, network),
        "optimizer": {"state": {}},
    }


def check(folder: Path, content: Any, network: nn.Module, source: str, **fields: Any) -> list[str]:
    """Makes a bundle from the file, compares its logits with the network's, and returns what was said."""
    notes: list[str] = []
    torch.save(content, folder / "theirs.pth")
    given = {"mean": MEAN, "std": STD, **fields}
    create_bundle(
        folder / "bundle",
        source=source,
        classes=CLASSES,
        input_shape=SHAPE,
        weights=folder / "theirs.pth",
        say=notes.append,
        **given,
    )
    images = torch.rand((2, *SHAPE), generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in (MEAN, STD))
    with torch.inference_mode():
        expected = network((images - mean) / std)
        found = load_bundle(folder / "bundle").base_classifier(images)
    torch.testing.assert_close(found, expected)
    return notes


@pytest.mark.parametrize("prefix", ["1.", "1.module.", "module.1."])
def test_locuslab_smoothing(tmp_path: Path, prefix: str) -> None:
    """Also SmoothAdv, MACER and consistency, which descend from it."""
    network = trained(ThinResNet())
    notes = check(tmp_path, locuslab(network, prefix), network, "cifar_resnet20")
    assert notes == ["'state_dict' holds the weights; left out besides it: epoch, arch, optimizer"]


def test_a_layer_that_only_centres_has_standard_deviations_of_1(tmp_path: Path) -> None:
    """SmoothAdv's two families differ in this layer; with the wrong one, answers are wrong and nothing says so."""
    network = trained(ThinResNet())
    content = locuslab(network, "1.")
    content["state_dict"]["0.means"] = torch.tensor(MEAN)
    torch.save(content, tmp_path / "theirs.pth")
    notes: list[str] = []
    card = create_bundle(
        tmp_path / "bundle", source="cifar_resnet20", classes=CLASSES, input_shape=SHAPE,
        weights=tmp_path / "theirs.pth", say=notes.append,
    )  # fmt: skip
    assert card.mean == pytest.approx(MEAN)
    assert card.std == (1.0, 1.0, 1.0)
    assert "means, and no standard deviations (0.49, 0.48, 0.45)" in notes[1]


@pytest.mark.parametrize("nested", [True, False])
def test_locuslab_robust_overfitting(tmp_path: Path, nested: bool) -> None:
    """model_best.pth nests the weights beside accuracies; model_N.pth holds them as they are."""
    network = trained(PreActResNet18())
    state = inside("module.", network)
    content = {"state_dict": state, "test_robust_acc": 0.53, "test_acc": 0.81} if nested else state
    notes = check(tmp_path, content, network, "preact_resnet18", arguments={"width": 4})
    assert notes == (
        ["'state_dict' holds the weights; left out besides it: test_robust_acc, test_acc"] if nested else []
    )


def test_madrylab_robustness(tmp_path: Path) -> None:
    """The network is there twice, and its normalisation is taken from the file."""
    network = trained(build_architecture("small_image_resnet18", 4, 3))
    content = {
        "model": inside("module.", AttackerModel(network)),
        "optimizer": {},
        "schedule": {},
        "epoch": 150,
    }
    notes = check(tmp_path, content, network, "small_image_resnet18", mean=None, std=None)
    assert notes == [
        "'model' holds the weights; left out besides it: optimizer, schedule, epoch",
        "its normalisation layer holds means and standard deviations (0.49, 0.48, 0.45) (0.2, 0.21, 0.22)",
        (
            f"left out a second copy of the network, under 'attacker.': {len(network.state_dict())} keys; "
            "its library's cut of pixels to [0, 1] is not repeated, so noise reaches the network whole"
        ),
    ]


def test_two_copies_that_differ_are_refused(tmp_path: Path) -> None:
    """Nobody could say which of them is meant."""
    network = trained(build_architecture("small_image_resnet18", 4, 3))
    state = inside("module.", AttackerModel(network))
    state["module.attacker.model.linear.bias"] = state["module.attacker.model.linear.bias"] + 1
    with pytest.raises(WeightsError, match=r"must be equal, they differ in: linear\.bias"):
        check(tmp_path, {"model": state}, network, "small_image_resnet18", mean=None, std=None)


def test_another_normalisation_than_the_checkpoints_is_refused(tmp_path: Path) -> None:
    network = trained(build_architecture("small_image_resnet18", 4, 3))
    content = {"model": inside("module.", AttackerModel(network))}
    with pytest.raises(WeightsError, match=r"'mean' must be that of the checkpoint's normalisation layer"):
        check(tmp_path, content, network, "small_image_resnet18", mean=(0.5, 0.5, 0.5))


def test_keys_without_a_place_are_named(tmp_path: Path) -> None:
    """They are refused, or left out and told of."""
    network = trained(PreActResNet18())
    state = {**inside("module.", network), "module.rotation.weight": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"unexpected keys: module\.rotation\.weight"):
        check(tmp_path, state, network, "preact_resnet18", arguments={"width": 4})
    notes = check(tmp_path, state, network, "preact_resnet18", arguments={"width": 4}, allow_unused=True)
    assert notes == ["left out, as the network has no place for it: module.rotation.weight"]


def test_the_command_line_says_what_became_of_every_key(tmp_path: Path) -> None:
    """And needs no --mean and --std where the file holds them."""
    network = trained(build_architecture("small_image_resnet18", 4, 3))
    torch.save({"model": inside("module.", AttackerModel(network)), "epoch": 1}, tmp_path / "theirs.pt")
    ran = CliRunner().invoke(
        app,
        ["bundle", "create", str(tmp_path / "bundle"), "--from", "small_image_resnet18", "--classes", "4",
         "--input-shape", "3x16x16", "--weights", str(tmp_path / "theirs.pt")],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert "left out a second copy" in ran.output
    assert load_bundle(tmp_path / "bundle").card.std == pytest.approx(STD)


@pytest.mark.parametrize("architecture", ["cifar_resnet20", "cifar_resnet110", "preact_resnet18"])
def test_every_name_of_ours_has_one_in_public_code(
    architecture: str, public_names: Callable[[str], list[str]]
) -> None:
    """The translation is one to one: no weight is lost on the way, whatever the depth."""
    from models.intake.names import own_name

    ours = build_architecture(architecture, 4, 3).state_dict()
    assert sorted(own_name(architecture, name) for name in public_names(architecture)) == sorted(ours)


@pytest.fixture
def public_names() -> Callable[[str], list[str]]:
    """The keys that public code has for an architecture, written out."""

    def norm(name: str) -> list[str]:
        return [
            f"{name}.{part}"
            for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        ]

    def names(architecture: str) -> list[str]:
        preact = architecture == "preact_resnet18"
        stages, depth = (4, 2) if preact else (3, {"cifar_resnet20": 3, "cifar_resnet110": 18}[architecture])
        found = ["conv1.weight", *norm("bn" if preact else "bn1")]
        for stage in range(1, stages + 1):
            for block in range(depth):
                at = f"layer{stage}.{block}"
                found += [f"{at}.conv1.weight", f"{at}.conv2.weight", *norm(f"{at}.bn1"), *norm(f"{at}.bn2")]
                if stage > 1 and block == 0:
                    found += [f"{at}.shortcut.0.weight"] if preact else []
                    found += [] if preact else [f"{at}.downsample.0.weight", *norm(f"{at}.downsample.1")]
        head = "linear" if preact else "fc"
        return [*found, f"{head}.weight", f"{head}.bias"]

    return names
