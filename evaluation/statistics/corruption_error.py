"""Mean corruption error, and the relative one: errors under corruption as a share of a baseline's.

Reference:
    Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
    ICLR 2019, §4.1 (CE, mCE, relative mCE).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evaluation.statistics.intervals import jackknife_interval

Errors = Mapping[str, Sequence[float]]
"""Error rates of a classifier: corruption to the errors at its severities, in the same order for all."""


def corruption_errors(
    errors: Errors, baseline: Errors, clean: float = 0.0, baseline_clean: float = 0.0
) -> dict[str, float | None]:
    """Return CE of each corruption: the errors over all severities together, divided by the baseline's.

    With the errors without corruption it is relative CE: by how much errors grow, divided by the baseline's
    growth. None where the baseline makes no error or does not get worse: nothing can be measured against it.

    Args:
        errors: Of the classifier.
        baseline: Of the baseline, under the same corruptions.
        clean: The classifier's error on the same images without corruption.
        baseline_clean: The baseline's.

    >>> corruption_errors({"fog": [0.1, 0.3]}, {"fog": [0.2, 0.6]})
    {'fog': 0.5}
    >>> ratios = corruption_errors({"fog": [0.2, 0.4]}, {"fog": [0.5, 0.9]}, 0.1, 0.3)
    >>> round(ratios["fog"], 4)
    0.5
    """
    ratios: dict[str, float | None] = {}
    for name in errors:
        growth = sum(error - clean for error in errors[name])
        against = sum(error - baseline_clean for error in baseline[name])
        ratios[name] = growth / against if against > 1e-12 else None
    return ratios


def mean_of_known(ratios: Mapping[str, float | None]) -> float | None:
    """Return the mean over corruptions, mCE or relative mCE; those without a ratio are omitted."""
    known = [ratio for ratio in ratios.values() if ratio is not None]
    return sum(known) / len(known) if known else None


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Which images a classifier answers wrong: 1 there, else 0.

    Attributes:
        clean: Without corruption ``(images,)``.
        corrupted: By corruption ``(severities, images)``.
    """

    clean: NDArray[np.float64]
    corrupted: Mapping[str, NDArray[np.float64]]

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.clean)

    def rates(self, without: int | None = None) -> tuple[float, dict[str, list[float]]]:
        """Return the error rates without and under corruption, of all images or of all but one."""
        clean, corrupted = self._counts
        left, gone = self.images, np.zeros(self.images)
        if without is not None:
            left, gone[without] = left - 1, 1.0
        return float(clean - self.clean @ gone) / left, {
            name: ((count - self.corrupted[name] @ gone) / left).tolist() for name, count in corrupted.items()
        }

    @cached_property
    def _counts(self) -> tuple[float, dict[str, NDArray[np.float64]]]:
        """Mistakes on all images: made once, since leaving out each image in turn asks for them so often."""
        return float(self.clean.sum()), {name: wrong.sum(axis=1) for name, wrong in self.corrupted.items()}


@dataclass(frozen=True)
class Jackknifed:
    """mCE or relative mCE, and what it is without each image in turn.

    Attributes:
        value: None where the baseline gives nothing to measure against.
        without: One per image; empty where a single image decides which corruptions can be measured, as
            nothing can be said of its uncertainty then.
    """

    value: float | None
    without: tuple[float, ...]

    def interval(self, confidence: float) -> tuple[float, float] | tuple[None, None]:
        """Return the jackknife's interval, over the choice of images; nothing where it is unknown."""
        if self.value is None or len(self.without) < 2:
            return None, None
        return jackknife_interval(self.value, self.without, confidence)


def jackknifed(mistakes: Mistakes, baseline: Mistakes, *, relative: bool) -> Jackknifed:
    """Return mCE, or relative mCE, with what its uncertainty follows from."""
    whole = _ratios(mistakes, baseline, None, relative=relative)
    value = mean_of_known(whole)
    without = []
    for image in range(mistakes.images):
        ratios = _ratios(mistakes, baseline, image, relative=relative)
        left = mean_of_known(ratios)
        if left is None or any((ratios[name] is None) != (whole[name] is None) for name in whole):
            return Jackknifed(value, ())
        without.append(left)
    return Jackknifed(value, tuple(without))


def _ratios(
    mistakes: Mistakes, baseline: Mistakes, without: int | None, *, relative: bool
) -> dict[str, float | None]:
    clean, errors = mistakes.rates(without)
    baseline_clean, baseline_errors = baseline.rates(without)
    grown_from = (clean, baseline_clean) if relative else ()
    return corruption_errors(errors, baseline_errors, *grown_from)
