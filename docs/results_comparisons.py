"""Two runs held against each other, image by image, and the verdict on a claim that follows from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from docs.results_outcomes import Outcomes
from models.evaluation.intervals import jackknife_interval, mean_interval, paired_proportions_interval

Floats = NDArray[np.float64]
_CLEAN: Final = "none"


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
        infinity = float("inf")
        return {
            "more": (0.0, infinity),
            "less": (-infinity, 0.0),
            "no_less": (-self.margin, infinity),
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

    def compare(outcomes: Outcomes) -> Difference:
        rows = outcomes[evaluation]["tables"]["corruptions-images"]["rows"]
        reference = _wrong(rows, baseline)
        one, one_without = _mean_ratio(_wrong(rows, first), reference, relative=relative)
        other, other_without = _mean_ratio(_wrong(rows, second), reference, relative=relative)
        interval = jackknife_interval(one - other, (one_without - other_without).tolist())
        return Difference(one, other, *interval, len(one_without))

    return Comparison((evaluation,), compare)


def at_equal_accuracy(runs: Sequence[tuple[str, str]], reference: tuple[str, str]) -> Comparison:
    """Compare ACR of one scheme at several levels with another's, at the latter's clean accuracy.

    The scheme's ACR is taken on the line between the levels round that accuracy; there is none where its
    levels do not reach round it. The interval is the jackknife's over images.

    Args:
        runs: Evaluation and run of each level of the scheme.
        reference: Evaluation and run that it is compared with.
    """

    def compare(outcomes: Outcomes) -> Difference | None:
        found = [_answers(outcomes, *run) for run in (*runs, reference)]
        shared = sorted(set.intersection(*(set(each) for each in found)))
        answers = np.array([[each[index] for index in shared] for each in found])  # (runs, images, 2)
        totals, images = answers.sum(axis=1), len(shared)
        accuracies = totals[:-1, 0]
        if not accuracies.min() <= totals[-1, 0] <= accuracies.max():
            return None
        whole = _interpolated(totals / images)
        left = [_interpolated((totals - answers[:, place]) / (images - 1)) for place in range(images)]
        without = [one - other for one, other in left]
        return Difference(*whole, *jackknife_interval(whole[0] - whole[1], without), images)

    names = dict.fromkeys(evaluation for evaluation, _ in (*runs, reference))
    return Comparison(tuple(names), compare)


def _together(*measures: Measure) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for measure in measures for name in measure.evaluations))


def _wrong(rows: Sequence[Sequence[Any]], classifier: str) -> dict[str, Floats]:
    """Errors of one classifier: corruption to ``(severities, images)``."""
    found: dict[str, list[list[float]]] = {}
    for name, corruption, _, digits in rows:
        if name == classifier:
            found.setdefault(corruption, []).append([float(digit == "0") for digit in digits])
    return {name: np.array(errors) for name, errors in found.items()}


def _mean_ratio(
    wrong: Mapping[str, Floats], baseline: Mapping[str, Floats], *, relative: bool
) -> tuple[float, Floats]:
    """Return the mean corruption error, and what it is when each image in turn is left out."""
    ratios, without = [], []
    for name in wrong:
        if name == _CLEAN:
            continue
        of_image = [errors[name].sum(axis=0) for errors in (wrong, baseline)]
        if relative:
            clean = [len(errors[name]) * errors[_CLEAN][0] for errors in (wrong, baseline)]
            of_image = [count - less for count, less in zip(of_image, clean, strict=True)]
        own, reference = (float(count.sum()) for count in of_image)
        if reference > 0:  # the baseline must make errors, or there is nothing to measure against
            ratios.append(own / reference)
            without.append((own - of_image[0]) / (reference - of_image[1]))
    return fsum(ratios) / len(ratios), np.mean(without, axis=0)


def _answers(outcomes: Outcomes, evaluation: str, run: str) -> dict[int, tuple[float, float]]:
    """Whether each image is answered right, and its ℓ2 radius."""
    found = outcomes[evaluation]["certified"][run]
    return dict(zip(found["index"], zip(map(float, found["right"]), found["l2"], strict=True), strict=True))


def _interpolated(means: Floats) -> tuple[float, float]:
    """ACR of the first rows at the accuracy of the last one, and that one's; a row is accuracy and ACR."""
    accuracies, radii = zip(*sorted(means[:-1].tolist()), strict=True)
    accuracy, acr = means[-1].tolist()
    return float(np.interp(accuracy, accuracies, radii)), acr
