"""Bundles: folders with everything that a server needs to know about one classifier."""

from models.bundles.card import (
    Card,
    Description,
    Example,
    Fit,
    Metric,
    Recommended,
    TrainingData,
    bundle_digest,
)
from models.bundles.find import ZOO, FoundBundles, find_bundles, look_for_bundles
from models.bundles.read import LoadedBundle, inspect_bundle, load_bundle, read_card
from models.bundles.write import ExampleImage, write_bundle
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

__all__ = [
    "ZOO",
    "BundleError",
    "BundleExistsError",
    "BundleNotFoundError",
    "Card",
    "CardError",
    "CleanSetError",
    "Description",
    "DigestError",
    "Example",
    "ExampleImage",
    "Fit",
    "FoundBundles",
    "LoadedBundle",
    "Metric",
    "ModuleError",
    "Recommended",
    "TrainingData",
    "WeightsError",
    "bundle_digest",
    "find_bundles",
    "inspect_bundle",
    "load_bundle",
    "look_for_bundles",
    "read_card",
    "write_bundle",
]
