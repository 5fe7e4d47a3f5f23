"""Several runs side by side: the best over noise levels, and schemes compared at equal clean accuracy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from evaluation.records import CertificateRecord, Norm
from evaluation.statistics.metrics import average_certified_radius, certified_accuracy


@dataclass(frozen=True)
class Run:
    """The certificates of one set of images by one classifier under one setting.

    Attributes:
        name: what tables call it.
        scheme: all of its setting but the noise level; runs of one scheme differ in that alone.
        sigma: the noise level; None where it is chosen per image.
        records: one per image.
    """

    name: str
    scheme: str
    sigma: float | None
    records: tuple[CertificateRecord, ...]


class Point(NamedTuple):
    """The best run at one radius."""

    radius: float
    accuracy: float
    run: str


def envelope(runs: Sequence[Run], radii: Sequence[float], norm: Norm = "l2") -> list[Point]:
    """Return at each radius the largest certified accuracy of any run, and which run has it.

    This is what papers plot over σ. It compares; no single classifier attains it, since each point may be
    another noise level. Ties go to the run that comes first.
    """
    return [
        max(
            (Point(radius, certified_accuracy(run.records, radius, norm), run.name) for run in runs),
            key=lambda point: point.accuracy,
        )
        for radius in radii
    ]


class AtEqualAccuracy(NamedTuple):
    """A scheme at one clean accuracy.

    Attributes:
        level: the clean accuracy that schemes are compared at.
        interpolated: average certified radius at the level itself, on the straight line between the two runs
            round it; None where the scheme's runs do not reach round it.
        nearest: name of the run whose clean accuracy is nearest.
        accuracy, radius: clean accuracy and average certified radius of that run.
    """

    level: float
    interpolated: float | None
    nearest: str
    accuracy: float
    radius: float


def at_equal_accuracy(
    runs: Sequence[Run], levels: Sequence[float], norm: Norm = "l2"
) -> list[AtEqualAccuracy]:
    """Compare one scheme's runs at given clean accuracies of the smoothed classifier.

    Noise trades clean accuracy for radius, so schemes compared at one σ differ in both. At equal clean
    accuracy only the radius differs. Of runs with the same clean accuracy the one with the larger radius
    counts.

    Args:
        runs: Of one scheme, at several noise levels.
        levels: Clean accuracies in [0, 1].
        norm: That radii are averaged in.

    Reference:
        Nandi, Addepalli, Rangwani & Babu, "Certified Adversarial Robustness Within Multiple Perturbation
        Bounds", 2023, §4.5.
    """
    known = [
        (certified_accuracy(run.records, 0.0, norm), average_certified_radius(run.records, norm), run.name)
        for run in runs
    ]
    points = [(accuracy, radius) for accuracy, radius, _ in known]
    found = []
    for level in levels:
        accuracy, radius, name = min(known, key=lambda run: (abs(run[0] - level), -run[1]))
        found.append(AtEqualAccuracy(level, interpolated(level, points), name, accuracy, radius))
    return found


def interpolated(level: float, points: Iterable[Sequence[float]]) -> float | None:
    """Return the average radius at a clean accuracy, on the straight line between the points round it.

    Args:
        level: The clean accuracy.
        points: Clean accuracy and average radius of each run; of equal accuracies the larger radius counts.

    Returns:
        None where the points do not reach round it.

    >>> interpolated(0.75, [(0.5, 2.0), (1.0, 1.0)]), interpolated(0.4, [(0.5, 2.0), (1.0, 1.0)])
    (1.5, None)
    """
    best: dict[float, float] = {}
    for accuracy, radius in points:
        best[accuracy] = max(radius, best.get(accuracy, 0.0))
    if level in best:
        return best[level]
    for (low, low_radius), (high, high_radius) in pairwise(sorted(best.items())):
        if low < level < high:
            share = (level - low) / (high - low)
            return low_radius + share * (high_radius - low_radius)
    return None
