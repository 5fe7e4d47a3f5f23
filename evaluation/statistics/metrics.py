"""Certified accuracy, average certified radius and abstentions of a set of certificates."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from evaluation.records import CertificateRecord, Norm

Records = Sequence[CertificateRecord]


def certified_accuracy(records: Records, radius: float, norm: Norm = "l2") -> float:
    """Return the part of the images that are answered right with a certified radius of at least ``radius``.

    This is the papers' convention, R ≥ r; at r = 0 it is the accuracy of the smoothed classifier, whose
    abstentions count as wrong. The radii of records are rounded down, so none counts that should not.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019, §4.
    """
    return certified_count(records, radius, norm) / len(records)


def certified_count(records: Records, radius: float, norm: Norm = "l2") -> int:
    """Return how many images ``certified_accuracy`` counts."""
    return sum(record.correct and float(getattr(record.radius, norm)) >= radius for record in records)


def average_certified_radius(records: Records, norm: Norm = "l2") -> float:
    """Return the mean certified radius (ACR), 0 counting for every image answered wrong or not at all.

    Reference:
        Zhai et al., "MACER: Attack-free and Scalable Robust Training via Maximizing Certified Radius",
        ICLR 2020, §5.
    """
    return fmean(record.certified_radius(norm) for record in records)


def abstention_rate(records: Records) -> float:
    """Return the part of the images for which nothing is claimed."""
    return sum(record.abstained for record in records) / len(records)


def base_accuracy(records: Records) -> float:
    """Return the accuracy of the base classifier without noise on the same images."""
    return sum(record.base_predicted == record.label for record in records) / len(records)


def p_lower_histogram(records: Records, noise: str, bins: int = 20) -> list[tuple[float, float, int, int]]:
    """Count lower bounds of the top class's probability: ``(from, to, all, right ones)`` per bin of [0, 1].

    An average radius is dominated by easy images; this shows all of them. A bound on an edge counts above it.
    """
    found = [
        (votes.p_lower, record.correct)
        for record in records
        for votes in record.votes
        if votes.noise == noise
    ]
    edges = np.linspace(0.0, 1.0, bins + 1)
    every, _ = np.histogram([bound for bound, _ in found], bins=edges)
    right, _ = np.histogram([bound for bound, correct in found if correct], bins=edges)
    return [
        (float(low), float(high), int(count), int(good))
        for low, high, count, good in zip(edges[:-1], edges[1:], every, right, strict=True)
    ]
