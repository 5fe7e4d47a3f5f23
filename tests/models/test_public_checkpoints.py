"""Checkpoints in the formats of public code give the classifiers that this code would have run.

The networks here are laid out and named as in the public repositories; the files are what their scripts save.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from models.architectures import build_architecture
from models.bundles import Card, load_bundle
from models.errors import WeightsError
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


class WideBlock(nn.Module):
    """A block of xternalz/WideResNet-pytorch's wideresnet.py, as TRADES and the code after it have it."""

    def __init__(self, inside: int, planes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.convShortcut = None if inside == planes else nn.Conv2d(inside, planes, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(out)
        return shortcut + self.conv2(functional.relu(self.bn2(self.conv1(out))))


class WideStage(nn.Module):
    """A NetworkBlock of the same file."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class WideResNet16x2(nn.Module):
    """The network of the same file, with a depth of 16 and a widen factor of 2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = WideStage(WideBlock(16, 32, 1), WideBlock(32, 32, 1))
        self.block2 = WideStage(WideBlock(32, 64, 2), WideBlock(64, 64, 1))
        self.block3 = WideStage(WideBlock(64, 128, 2), WideBlock(128, 128, 1))
        self.bn1 = nn.BatchNorm2d(128)
        self.fc = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.block3(self.block2(self.block1(self.conv1(x))))))
        logits: Tensor = self.fc(out.mean(dim=(2, 3)))
        return logits


class PlainNormalize(nn.Module):
    """NormalizeLayer of locuslab and InputCenterLayer of SmoothAdv: their numbers are attributes, not buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.means = torch.tensor(MEAN)


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


def sgd(network: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)


def locuslab(network: nn.Module) -> dict[str, Any]:
    """What train.py of locuslab/smoothing saves, and of SmoothAdv and consistency after it."""
    model = nn.Sequential(PlainNormalize(), network)
    return {
        "epoch": 90,
        "arch": "cifar_resnet20",
        "state_dict": model.state_dict(),
        "optimizer": sgd(network).state_dict(),
    }


def madrylab(network: nn.Module) -> dict[str, Any]:
    """What train.py of robustness saves under a cyclic schedule, whose rates are NumPy's numbers."""
    optimizer = sgd(network)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: np.interp([epoch], [0, 4, 15], [0, 1, 0])[0]
    )
    return {
        "model": inside("module.", AttackerModel(network)),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "epoch": 1,
        "amp": "N/A",
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


OF_LOCUSLAB = ["'state_dict' contains the weights; ignored entries: epoch, arch, optimizer"]


@pytest.mark.parametrize("wrap", [nn.Sequential, nn.DataParallel])
def test_locuslab_smoothing(tmp_path: Path, wrap: Callable[[nn.Module], nn.Module]) -> None:
    """Also SmoothAdv and consistency, which descend from it; its ImageNet network is in a DataParallel."""
    network = trained(ThinResNet())
    content = locuslab(network)
    if wrap is nn.DataParallel:
        content["state_dict"] = nn.Sequential(PlainNormalize(), wrap(network)).state_dict()
    assert check(tmp_path, content, network, "cifar_resnet20") == OF_LOCUSLAB


def test_macer(tmp_path: Path) -> None:
    """Its checkpoints hold the network alone, under 'net'."""
    network = trained(ThinResNet())
    notes = check(tmp_path, {"net": network.state_dict(), "epoch": 440}, network, "cifar_resnet20")
    assert notes == ["'net' contains the weights; ignored entries: epoch"]


def create(folder: Path, content: Any, source: str, **fields: Any) -> tuple[Card, list[str]]:
    """Makes a bundle from the file without any mean and std but those in ``fields``."""
    notes: list[str] = []
    if content is not None:
        torch.save(content, folder / "theirs.pth")
        fields["weights"] = folder / "theirs.pth"
    given: dict[str, Any] = {"input_shape": SHAPE, **fields}
    card = create_bundle(folder / "bundle", source=source, classes=CLASSES, say=notes.append, **given)
    return card, notes


def test_a_normalisation_that_the_file_does_not_hold_is_demanded(tmp_path: Path) -> None:
    """ImageNet's would be another classifier's; the message knows what public code takes."""
    content = locuslab(trained(ThinResNet()))
    with pytest.raises(WeightsError, match=r"'mean' and 'std' must be given, because .*got None") as both:
        create(tmp_path, content, "cifar_resnet20")
    for known in ("0.4914,0.4822,0.4465 and std 0.2023,0.1994,0.2010", "only centres: this mean and std 1,1,1",
                  "0.485,0.456,0.406 and 0.229,0.224,0.225"):  # fmt: skip
        assert known in str(both.value)
    with pytest.raises(WeightsError, match=r"^'std' must be given, because"):
        create(tmp_path, content, "cifar_resnet20", mean=MEAN)
    with pytest.raises(WeightsError, match=r"^'mean' must be given, because"):
        create(tmp_path, content, "cifar_resnet20", std=STD)
    assert not (tmp_path / "bundle").exists()
    card, _ = create(tmp_path, content, "cifar_resnet20", mean=MEAN, std=(1.0, 1.0, 1.0))
    assert card.std == (1.0, 1.0, 1.0)


def test_weights_in_a_librarys_own_form_get_its_normalisation_and_it_is_said(tmp_path: Path) -> None:
    """But not behind a layer of somebody's own, as SmoothAdv's ImageNet network is, whose layer only centres."""
    network = torchvision.models.squeezenet1_1(num_classes=4)
    card, notes = create(tmp_path, network.state_dict(), "torchvision:squeezenet1_1", input_shape=(3, 32, 32))
    assert (card.mean, card.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert notes == [
        "no mean and std given, so ImageNet's are assumed: mean 0.485,0.456,0.406 and std 0.229,0.224,0.225"
    ]
    behind = nn.Sequential(PlainNormalize(), nn.DataParallel(network)).state_dict()
    with pytest.raises(WeightsError, match="'mean' and 'std' must be given"):
        create(tmp_path, {"state_dict": behind}, "torchvision:squeezenet1_1", overwrite=True)


def test_random_weights_get_a_normalisation_that_is_said(tmp_path: Path) -> None:
    """Any would do; but one number of the two without the other is a slip."""
    card, notes = create(tmp_path, None, "cifar_resnet20")
    assert card.std == (0.229, 0.224, 0.225)
    assert "ImageNet's are assumed: mean 0.485,0.456,0.406 and std 0.229,0.224,0.225" in notes[0]
    with pytest.raises(WeightsError, match="'std' must be given together with the other one, got None"):
        create(tmp_path, None, "cifar_resnet20", mean=MEAN, overwrite=True)


def test_timms_networks_get_the_normalisation_of_timm(tmp_path: Path) -> None:
    """Which is not ImageNet's for this one."""
    pytest.importorskip("timm", reason="timm is optional")
    card, notes = create(tmp_path, None, "timm:test_resnet")
    assert (card.mean, card.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert "those of timm:test_resnet are assumed" in notes[0]


@pytest.mark.parametrize("sds", [STD, None])
def test_buffers_of_a_normalisation_are_used(tmp_path: Path, sds: tuple[float, ...] | None) -> None:
    """Descendants of locuslab's layer have made buffers of its means and sds; what is missing is demanded."""
    network = trained(ThinResNet())
    content = locuslab(network)
    content["state_dict"]["0.means"] = torch.tensor(MEAN)
    if sds is None:
        with pytest.raises(
            WeightsError, match=r"'std' must be given, because .* only the other one, \(0\.49"
        ):
            check(tmp_path, content, network, "cifar_resnet20", mean=None, std=None)
        notes = check(tmp_path, content, network, "cifar_resnet20", mean=None)
        assert notes[1] == "its normalisation layer has means, and no standard deviations (0.49, 0.48, 0.45)"
    else:
        content["state_dict"]["0.sds"] = torch.tensor(sds)
        check(tmp_path, content, network, "cifar_resnet20", mean=None, std=None)


@pytest.mark.parametrize("nested", [True, False])
def test_locuslab_robust_overfitting(tmp_path: Path, nested: bool) -> None:
    """model_best.pth nests the weights beside accuracies; model_N.pth holds them as they are."""
    network = trained(PreActResNet18())
    state = inside("module.", network)
    content = {"state_dict": state, "test_robust_acc": 0.53, "test_acc": 0.81} if nested else state
    notes = check(tmp_path, content, network, "preact_resnet18", arguments={"width": 4})
    assert notes == (
        ["'state_dict' contains the weights; ignored entries: test_robust_acc, test_acc"] if nested else []
    )


WIDE = {"depth": 16, "widen_factor": 2}


def test_wide_resnets(tmp_path: Path) -> None:
    """Those of robust_overfitting, TRADES and AWP, which save the state of a DataParallel or of the network."""
    network = trained(WideResNet16x2())
    assert check(tmp_path, inside("module.", network), network, "wide_resnet", arguments=WIDE) == []


def test_the_unused_block_of_trades_is_left_out_on_request(tmp_path: Path) -> None:
    """Its own WideResNet has a sub_block1 besides block1, which its forward pass never enters."""
    network = trained(WideResNet16x2())
    state = network.state_dict() | inside("sub_block1.", network.block1)
    with pytest.raises(WeightsError, match=r"unexpected keys: sub_block1\.layer\.0\.bn1\.weight"):
        check(tmp_path, state, network, "wide_resnet", arguments=WIDE)
    notes = check(tmp_path, state, network, "wide_resnet", arguments=WIDE, allow_unused=True)
    assert notes[0].startswith(
        "ignored, because the network has no such weight: sub_block1.layer.0.bn1.weight"
    )


def test_madrylab_robustness(tmp_path: Path) -> None:
    """The network is there twice, its normalisation is taken from the file, and NumPy's numbers are not read."""
    network = trained(build_architecture("small_image_resnet18", 4, 3))
    notes = check(tmp_path, madrylab(network), network, "small_image_resnet18", mean=None, std=None)
    assert notes[0] == "'model' contains the weights; ignored entries: optimizer, schedule, epoch, amp"
    assert re.match(
        r"ignored, because no code of the file runs: objects of numpy\S*\.scalar, numpy\.dtype", notes[1]
    )
    assert notes[2:] == [
        "its normalisation layer has means and standard deviations (0.49, 0.48, 0.45) (0.2, 0.21, 0.22)",
        (
            f"ignored a second copy of the network, under 'attacker.': {len(network.state_dict())} keys; "
            "its library clips pixels to [0, 1] before normalising, radii does not clip the noise"
        ),
    ]


def test_two_copies_that_differ_are_refused(tmp_path: Path) -> None:
    """Nobody could say which of them is meant."""
    network = trained(build_architecture("cifar_resnet20", 4, 3))
    state = inside("module.", AttackerModel(network))
    state["module.attacker.model.linear.bias"] = state["module.attacker.model.linear.bias"] + 1
    with pytest.raises(
        WeightsError,
        match=r"differ in: module\.model\.linear\.bias and module\.attacker\.model\.linear\.bias",
    ):
        check(tmp_path, {"model": state}, network, "cifar_resnet20", mean=None, std=None)


def test_another_normalisation_than_the_checkpoints_is_refused(tmp_path: Path) -> None:
    network = trained(build_architecture("cifar_resnet20", 4, 3))
    content = {"model": inside("module.", AttackerModel(network))}
    with pytest.raises(WeightsError, match=r"'mean' must be that of the checkpoint's normalisation layer"):
        check(tmp_path, content, network, "cifar_resnet20", mean=(0.5, 0.5, 0.5))


def test_keys_without_a_place_are_named(tmp_path: Path) -> None:
    """They are refused, or left out and told of."""
    network = trained(PreActResNet18())
    state = {**inside("module.", network), "module.rotation.weight": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"unexpected keys: module\.rotation\.weight"):
        check(tmp_path, state, network, "preact_resnet18", arguments={"width": 4})
    notes = check(tmp_path, state, network, "preact_resnet18", arguments={"width": 4}, allow_unused=True)
    assert notes == ["ignored, because the network has no such weight: module.rotation.weight"]


def test_the_command_line_says_what_became_of_every_key(tmp_path: Path) -> None:
    """And needs no --mean and --std where the file holds them."""
    network = trained(build_architecture("cifar_resnet20", 4, 3))
    torch.save(madrylab(network), tmp_path / "theirs.pt")
    ran = CliRunner().invoke(
        app,
        ["bundle", "create", str(tmp_path / "bundle"), "--from", "cifar_resnet20", "--classes", "4",
         "--input-shape", "3x16x16", "--weights", str(tmp_path / "theirs.pt")],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert "ignored a second copy" in ran.output
    assert load_bundle(tmp_path / "bundle").card.std == pytest.approx(STD)


def test_the_command_line_says_what_it_assumed(tmp_path: Path) -> None:
    """It refuses to assume anything for a public checkpoint."""
    words = ["bundle", "create", str(tmp_path / "bundle"), "--from", "cifar_resnet20", "--classes", "4",
             "--input-shape", "3x16x16"]  # fmt: skip
    ran = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert ran.exit_code == 0, ran.output
    assert "ImageNet's are assumed: mean 0.485,0.456,0.406 and std 0.229,0.224,0.225" in ran.output
    torch.save(locuslab(ThinResNet()), tmp_path / "theirs.pth")
    ran = CliRunner().invoke(app, [*words, "--weights", str(tmp_path / "theirs.pth"), "--overwrite"])
    assert ran.exit_code != 0
    assert "'mean' and 'std' must be given" in " ".join(ran.output.split())


@pytest.mark.parametrize(
    "architecture", ["cifar_resnet20", "cifar_resnet110", "preact_resnet18", "wide_resnet"]
)
def test_every_name_of_ours_has_one_in_public_code(
    architecture: str, public_names: Callable[[str], list[str]]
) -> None:
    """The translation is one to one: no weight is lost on the way, whatever the depth."""
    from models.intake.names import own_name

    with torch.device("meta"):  # for the names alone
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

    def wide_names(blocks: int) -> list[str]:
        found = ["conv1.weight", *norm("bn1"), "fc.weight", "fc.bias"]
        for at in (f"block{stage}.layer.{block}" for stage in (1, 2, 3) for block in range(blocks)):
            found += [f"{at}.conv1.weight", f"{at}.conv2.weight", *norm(f"{at}.bn1"), *norm(f"{at}.bn2")]
            found += [f"{at}.convShortcut.weight"] if at.endswith(".0") else []
        return found

    def names(architecture: str) -> list[str]:
        if architecture == "wide_resnet":
            return wide_names(blocks=5)  # of WRN-34-10
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
