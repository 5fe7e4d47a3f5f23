"""Bundles: folders with everything that a server needs to know about one classifier."""

from models.bundles.card import (
    Card,
    Description,
    Fit,
    Metric,
    Recommended,
    TrainingData,
    bundle_digest,
)
from models.bundles.find import ZOO, find_bundles, look_for_bundles
from models.bundles.read import LoadedBundle, inspect_bundle, load_bundle, read_card
from models.bundles.write import ExampleImage, write_bundle
from models.errors import BundleError

__all__ = [
    "ZOO",
    "BundleError",
    "Card",
    "Description",
    "ExampleImage",
    "Fit",
    "LoadedBundle",
    "Metric",
    "Recommended",
    "TrainingData",
    "bundle_digest",
    "find_bundles",
    "inspect_bundle",
    "load_bundle",
    "look_for_bundles",
    "read_card",
    "write_bundle",
]
