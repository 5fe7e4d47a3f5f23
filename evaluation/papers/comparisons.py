"""The kinds of comparison that claims rest on: two figures of the same images, and their difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.papers.measures import Entry, Gain, Measure, OfOne, Outcomes, Radius
from evaluation.statistics.corruption_error import jackknifed
from evaluation.statistics.curves import interpolated
from evaluation.statistics.intervals import jackknife_interval, mean_interval, paired_proportions_interval
from evaluation.suites.corruptions import mistakes_of

Floats = NDArray[np.float64]
_SAMPLES: Final = 2000


@dataclass(frozen=True)
class Difference:
    """Two figures of the same images, and the 95 % interval of the first less the second."""

    first: float
    second: float
    low: float
    high: float
    images: int

    @property
    def difference(self) -> float:
        """The first less the second."""
        return self.first - self.second


class Paired(Entry):
    """Two means over the images that both have, by Student's interval of the differences.

    Where both measures count images, by Tango's: few of them may differ, or none.
    """

    first: Measure
    second: Measure

    @property
    def evaluations(self) -> tuple[str, ...]:
        """Names of the evaluations that are read."""
        return Gain(gain_of=self.first, over=self.second).evaluations

    def compare(self, outcomes: Outcomes) -> Difference:
        """Compare them in what was measured."""
        gained = Gain(gain_of=self.first, over=self.second).read(outcomes)
        one, other = self.first.read(outcomes), self.second.read(outcomes)
        images = len(gained)
        means = [fmean(values[index] for index in gained) for values in (one, other)]
        changes = list(gained.values())
        if {*one.values(), *other.values()} <= {0.0, 1.0}:
            interval = paired_proportions_interval(changes.count(1.0), changes.count(-1.0), images)
        else:
            interval = mean_interval(changes)
        return Difference(means[0], means[1], *interval, images)


class CorruptionErrors(OfOne):
    """mCE, or relative mCE, of two classifiers in one evaluation, by the jackknife over images."""

    first: str
    second: str
    baseline: str
    relative: bool = False

    def compare(self, outcomes: Outcomes) -> Difference | None:
        """Compare them in what was measured; None where a single image decides whether there is a figure."""
        rows = outcomes[self.evaluation]["tables"]["corruptions-images"]["rows"]
        wrong = {
            name: mistakes_of(
                (corruption, digits) for classifier, corruption, _, digits in rows if classifier == name
            )
            for name in {self.first, self.second, self.baseline}
        }
        one, other = (
            jackknifed(wrong[name], wrong[self.baseline], relative=self.relative)
            for name in (self.first, self.second)
        )
        if one.value is None or other.value is None or not (one.without and other.without):
            return None
        without = [left - right for left, right in zip(one.without, other.without, strict=True)]
        interval = jackknife_interval(one.value - other.value, without)
        return Difference(one.value, other.value, *interval, len(without))


class EqualAccuracy(Entry):
    """ACR of one run, and the largest of another scheme at the same clean accuracy or a higher one.

    On the line between two levels of the scheme counts, too. Where all of its levels are more accurate, the
    largest ACR among them is the least that it reaches at the run's accuracy, and the difference is not
    bounded from below; where none is as accurate, there is nothing to compare. The interval is the
    bootstrap's over images; samples in which none is as accurate count against both of its ends.

    Attributes:
        run: The run.
        others: Each level of the scheme that it is compared with.
    """

    run: Radius
    others: tuple[Radius, ...]

    @property
    def evaluations(self) -> tuple[str, ...]:
        """Names of the evaluations that are read."""
        return tuple(dict.fromkeys(one.evaluation for one in (self.run, *self.others)))

    def compare(self, outcomes: Outcomes) -> Difference | None:
        """Compare them in what was measured; None where no other run is as accurate."""
        found = [_answers(outcomes, one) for one in (self.run, *self.others)]
        shared = sorted(set.intersection(*(set(each) for each in found)))
        answers = np.array([[each[index] for index in shared] for each in found])  # (runs, images, 2)
        images = len(shared)
        whole = answers.mean(axis=1)
        drawn = np.random.default_rng(0).multinomial(images, [1 / images] * images, size=_SAMPLES) / images
        samples = np.einsum("si,rif->srf", drawn, answers)
        reached = np.array([_reached(means) for means in samples])  # (samples, 2)
        least, most = (samples[:, 0, 1] - reached[:, end] for end in (1, 0))
        low, high = np.quantile(least, 0.025, method="lower"), np.quantile(most, 0.975, method="higher")
        if not np.isfinite(high):
            return None
        return Difference(float(whole[0, 1]), _reached(whole)[0], float(low), float(high), images)


Comparison = Paired | CorruptionErrors | EqualAccuracy


def _answers(outcomes: Outcomes, one: Radius) -> Mapping[int, tuple[float, float]]:
    """Whether each image is answered right, and its ℓ2 radius."""
    found = outcomes[one.evaluation]["certified"][one.run]
    return dict(zip(found["index"], zip(map(float, found["right"]), found["l2"], strict=True), strict=True))


def _reached(means: Floats) -> tuple[float, float]:
    """The least and the most ACR of the others at the accuracy of the first; a row is accuracy and ACR."""
    (accuracy, _), *others = means.tolist()
    between = interpolated(accuracy, others)
    reached = [acr for level, acr in others if level >= accuracy]
    if not reached:
        return -inf, inf
    if between is None:
        return max(reached), inf
    best = max(*reached, between)
    return best, best
