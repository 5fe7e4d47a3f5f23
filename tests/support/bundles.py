"""Bundles that the stacks of the tests serve, made in this process."""

from pathlib import Path
from typing import Any

from models.bundles import Card, Recommended
from models.intake import create_bundle

ROUGHNESS = ("rough", "smooth", "none")


def make_bundle(
    folder: Path, network: str, classes: tuple[str, ...] = ROUGHNESS, n: int = 500, **more: Any
) -> Card:
    """Makes a bundle for colour images of 8×8 of one of `tests.support.networks`."""
    fields: dict[str, Any] = {
        "input_shape": (3, 8, 8),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "recommended": Recommended(sigma=0.25, n=n),
    }
    return create_bundle(
        folder, source=f"tests.support.networks:{network}", classes=classes, **{**fields, **more}
    )
