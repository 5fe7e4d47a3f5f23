"""The memory of certified regions: distances, reconciliation, and sketches that find neighbours quickly."""

from smoothing.regions.distances import Distance, distance
from smoothing.regions.reconcile import (
    BrokenInvariant,
    CertifiedRegion,
    Undecidable,
    reconcile,
    remaining,
    surely_contains,
)

__all__ = [
    "BrokenInvariant",
    "CertifiedRegion",
    "Distance",
    "Undecidable",
    "distance",
    "reconcile",
    "remaining",
    "surely_contains",
]
