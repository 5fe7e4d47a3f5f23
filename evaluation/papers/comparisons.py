"""Two runs held against each other, image by image, and the verdict on a claim that follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, inf
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.papers.outcomes import Outcomes
from evaluation.statistics.corruption_error import jackknifed
from evaluation.statistics.curves import interpolated
from evaluation.statistics.intervals import jackknife_interval, mean_interval, paired_proportions_interval
from evaluation.suites.corruptions import mistakes_of

Floats = NDArray[np.float64]
_SAMPLES: Final = 2000


@dataclass(frozen=True)
class Measure:
    """A number of each test image.

    Attributes:
        evaluations: Names of those it is from.
        read: Takes it from their outcomes, by the image's position in the test split.
    """

    evaluations: tuple[str, ...]
    read: Callable[[Outcomes], dict[int, float]]


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


@dataclass(frozen=True)
class Comparison:
    """Two things that are held against each other.

    Attributes:
        evaluations: Names of those it is from.
        compare: Compares them in their outcomes; None where there is nothing that could be compared.
    """

    evaluations: tuple[str, ...]
    compare: Callable[[Outcomes], Difference | None]

    def measured(self, outcomes: Outcomes) -> bool:
        """Say whether all that it is from has been measured."""
        return all(name in outcomes for name in self.evaluations)


class Verdict(StrEnum):
    """What the measurements say about a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    UNDECIDED = "not decided"
    MISSING = "not measured yet"


@dataclass(frozen=True)
class Rule:
    """What a claim says of the difference.

    Attributes:
        kind: ``more``: it is above 0. ``less``: below 0. ``no_less``: above −margin.
        margin: What is too little to matter.
    """

    kind: Literal["more", "less", "no_less"]
    margin: float = 0.0

    @property
    def wanted(self) -> tuple[float, float]:
        """The differences at which the claim is true, an open interval."""
        return {
            "more": (0.0, inf),
            "less": (-inf, 0.0),
            "no_less": (-self.margin, inf),
        }[self.kind]


def verdict(rule: Rule, difference: Difference | None, *, measured: bool = True) -> Verdict:
    """Return the verdict: whether the whole interval agrees with the claim, or none of it, or some of it.

    >>> verdict(Rule("more"), Difference(0.9, 0.7, 0.1, 0.3, 250)).value
    'holds'
    >>> verdict(Rule("more"), Difference(0.8, 0.7, -0.1, 0.3, 250)).value
    'not decided'
    >>> verdict(Rule("more"), Difference(0.7, 0.7, 0.0, 0.0, 250)).value  # two names for one thing
    'not decided'
    """
    if not measured:
        return Verdict.MISSING
    if difference is None:
        return Verdict.UNDECIDED
    least, most = rule.wanted
    if least < difference.low and difference.high < most:
        return Verdict.HOLDS
    if difference.high < least or difference.low > most:
        return Verdict.DOES_NOT_HOLD
    return Verdict.UNDECIDED


def radius(evaluation: str, run: str, norm: str = "l2") -> Measure:
    """Return the certified radius, 0 where the answer is wrong or missing."""

    def read(outcomes: Outcomes) -> dict[int, float]:
        found = outcomes[evaluation]["certified"][run]
        return dict(zip(found["index"], found[norm], strict=True))

    return Measure((evaluation,), read)


def reaching(measure: Measure, least: float) -> Measure:
    """Return 1 where a radius is at least so large, else 0: the mean is the certified accuracy."""

    def read(outcomes: Outcomes) -> dict[int, float]:
        return {index: float(value >= least) for index, value in measure.read(outcomes).items()}

    return Measure(measure.evaluations, read)


def bound_radius(evaluation: str, run: str, bound: str, unit: float = 1.0) -> Measure:
    """Return the certified radius by one bound of the suite ``bounds``, in units of so many pixels."""

    def read(outcomes: Outcomes) -> dict[int, float]:
        table = outcomes[evaluation]["tables"]["bounds-images"]
        column = table["columns"].index(bound)
        return {row[1]: row[column] / unit for row in table["rows"] if row[0] == run}

    return Measure((evaluation,), read)


def right(evaluation: str, table: str, *row: str | float) -> Measure:
    """Return 1 where the answer is right, else 0, from a suite's table of answers image by image."""

    def read(outcomes: Outcomes) -> dict[int, float]:
        outcome = outcomes[evaluation]
        (digits,) = [found[-1] for found in outcome["tables"][table]["rows"] if tuple(found[:-1]) == row]
        return {place * outcome["plan"]["every"]: float(digit) for place, digit in enumerate(digits)}

    return Measure((evaluation,), read)


def gain(more: Measure, less: Measure) -> Measure:
    """Return by how much one measure exceeds another, on the images that both have."""

    def read(outcomes: Outcomes) -> dict[int, float]:
        one, other = more.read(outcomes), less.read(outcomes)
        return {index: one[index] - other[index] for index in sorted(one.keys() & other.keys())}

    return Measure(_together(more, less), read)


def paired(first: Measure, second: Measure) -> Comparison:
    """Compare two means over the images that both have, by Student's interval of the differences.

    Where both measures count images, by Tango's: few of them may differ, or none.
    """

    def compare(outcomes: Outcomes) -> Difference:
        gained = gain(first, second).read(outcomes)
        one, other = first.read(outcomes), second.read(outcomes)
        images = len(gained)
        means = [fsum(values[index] for index in gained) / images for values in (one, other)]
        changes = list(gained.values())
        if {*one.values(), *other.values()} <= {0.0, 1.0}:
            interval = paired_proportions_interval(changes.count(1.0), changes.count(-1.0), images)
        else:
            interval = mean_interval(changes)
        return Difference(means[0], means[1], *interval, images)

    return Comparison(_together(first, second), compare)


def corruption_errors(
    evaluation: str, first: str, second: str, *, baseline: str, relative: bool = False
) -> Comparison:
    """Compare mCE, or relative mCE, of two classifiers in one evaluation, by the jackknife over images."""

    def compare(outcomes: Outcomes) -> Difference | None:
        rows = outcomes[evaluation]["tables"]["corruptions-images"]["rows"]
        wrong = {
            name: mistakes_of(
                (corruption, digits) for classifier, corruption, _, digits in rows if classifier == name
            )
            for name in {first, second, baseline}
        }
        one, other = (jackknifed(wrong[name], wrong[baseline], relative=relative) for name in (first, second))
        if one.value is None or other.value is None or not (one.without and other.without):
            return None
        without = [left - right for left, right in zip(one.without, other.without, strict=True)]
        interval = jackknife_interval(one.value - other.value, without)
        return Difference(one.value, other.value, *interval, len(without))

    return Comparison((evaluation,), compare)


def at_equal_accuracy(run: tuple[str, str], others: Sequence[tuple[str, str]]) -> Comparison:
    """Compare ACR of one run with the largest of another scheme at the same clean accuracy or a higher one.

    On the line between two levels of the scheme counts, too. Where all of its levels are more accurate, the
    largest ACR among them is the least that it reaches at the run's accuracy, and the difference is not
    bounded from below; where none is as accurate, there is nothing to compare. The interval is the
    bootstrap's over images; samples in which none is as accurate count against both of its ends.

    Args:
        run: Evaluation and run.
        others: Evaluation and run of each level of the scheme that it is compared with.
    """

    def compare(outcomes: Outcomes) -> Difference | None:
        found = [_answers(outcomes, *one) for one in (run, *others)]
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

    names = dict.fromkeys(evaluation for evaluation, _ in (run, *others))
    return Comparison(tuple(names), compare)


def _together(*measures: Measure) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for measure in measures for name in measure.evaluations))


def _answers(outcomes: Outcomes, evaluation: str, run: str) -> dict[int, tuple[float, float]]:
    """Whether each image is answered right, and its ℓ2 radius."""
    found = outcomes[evaluation]["certified"][run]
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
