"""The memory of certified regions: distances, reconciliation, and sketches that find neighbours quickly."""

from smoothing.regions.distances import Distance, distance
from smoothing.regions.reconcile import (
    BrokenInvariant,
    CertifiedRegion,
    Reconciled,
    Undecidable,
    contains,
    overlaps,
    reconcile,
    remaining,
    surely_contains,
)

__all__ = [
    "BrokenInvariant",
    "CertifiedRegion",
    "Distance",
    "Reconciled",
    "Undecidable",
    "contains",
    "distance",
    "overlaps",
    "reconcile",
    "remaining",
    "surely_contains",
]
