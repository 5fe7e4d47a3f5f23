"""Every registered architecture."""

import pytest
import torch

from models.architectures import ARCHITECTURES, build_architecture


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_gives_one_logit_per_class_for_grey_and_colour(name: str, channels: int) -> None:
    """Every architecture maps (b, c, h, w) to (b, k)."""
    small = {"depth": 10, "widen_factor": 2} if name == "wide_resnet" else {}
    network = build_architecture(name, 7, channels, small).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, channels, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("size", [28, 32])
def test_preact_resnet_takes_both_small_sizes(size: int) -> None:
    """PreActResNet-18 runs on MNIST and CIFAR sizes."""
    network = build_architecture("preact_resnet18", 10, 3, {"width": 4}).eval()
    assert network(torch.zeros(1, 3, size, size)).shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("preact_resnet18", {}, 11_172_170),
        ("cifar_resnet110", {}, 1_730_714),
        ("wide_resnet", {"depth": 28, "widen_factor": 10}, 36_479_194),
    ],
)
def test_number_of_parameters_is_the_literatures(
    name: str, arguments: dict[str, int], parameters: int
) -> None:
    """The CIFAR networks have 11.17 M, 1.73 M and (WRN-28-10) 36.5 M parameters, as published."""
    with torch.device("meta"):  # only counted
        network = build_architecture(name, 10, 3, arguments)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(("depth", "widen_factor"), [(4, 10), (32, 10), (34, 0)])
def test_wide_resnets_of_other_depths_and_widths_are_refused(depth: int, widen_factor: int) -> None:
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=r"'(depth|widen_factor)' must be .*, got (4|32|0)$"):
        build_architecture("wide_resnet", 10, 3, {"depth": depth, "widen_factor": widen_factor})


def test_library_names_build_the_librarys_network() -> None:
    """A name with the prefix torchvision: is torchvision's own network."""
    network = build_architecture("torchvision:squeezenet1_1", 5, 3).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_timm_names_build_timms_network() -> None:
    """A name with the prefix timm: is a network of timm, with the asked channels."""
    pytest.importorskip("timm", reason="timm is optional")
    network = build_architecture("timm:test_resnet", 4, 1).eval()
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 4)


@pytest.mark.parametrize("name", ["resnet", "torchvision:nothing", "other:resnet18"])
def test_unknown_names_are_refused_with_the_name(name: str) -> None:
    """The message repeats what was asked for."""
    with pytest.raises(ValueError, match=f"'architecture' .*{name}"):
        build_architecture(name, 10, 3)


def test_arguments_the_network_does_not_take_are_refused() -> None:
    """A wrong argument is named."""
    with pytest.raises(ValueError, match=r"'arguments' .*depth"):
        build_architecture("preact_resnet18", 10, 3, {"depth": 3})
