"""`from radii import …`: what the library offers at its front door."""

import subprocess
import sys
from typing import Any

import pytest

import radii
import smoothing
from radii import Client, Gaussian, SmoothedClassifier, Uniform, certify
from radii import client as client_module


def test_the_names_are_those_of_the_rooms() -> None:
    """No second implementation behind the door."""
    assert SmoothedClassifier is smoothing.SmoothedClassifier
    assert (Gaussian, Uniform, certify) == (smoothing.Gaussian, smoothing.Uniform, smoothing.certify)
    assert Client is client_module.Client
    assert set(radii.__all__) <= set(dir(radii))


def test_another_name_is_refused_as_by_any_module() -> None:
    """`from radii import what` is an ImportError, `hasattr` is false."""
    with pytest.raises(AttributeError, match="module 'radii' has no attribute 'Laplace'"):
        _ = radii.Laplace
    module: Any = radii
    assert not hasattr(module, "what")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import radii", {"torch", "numpy", "scipy", "fastapi", "redis", "pydantic", "smoothing"}),
        ("from radii import Client", {"torch", "numpy", "scipy", "smoothing"}),
    ],
)
def test_importing_it_loads_only_what_is_used(statement: str, absent: set[str]) -> None:
    """Neither the service's users nor the command line wait for PyTorch."""
    code = f"import sys; {statement}; print(*({absent!r} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
