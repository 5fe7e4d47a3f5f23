"""Two figures of the same images, and how sure their difference is."""

from math import inf

import pytest

from evaluation.papers.claims import Verdict
from evaluation.papers.comparisons import CorruptionErrors, Difference, EqualAccuracy, Paired
from evaluation.papers.measures import Gain, Radius
from evaluation.statistics.corruption_error import corruption_errors as mce_of
from evaluation.statistics.corruption_error import mean_of_known
from evaluation.statistics.intervals import mean_interval
from tests.evaluation.papers.support import certified, claim_of, outcome


def test_pairs_are_images_that_both_have() -> None:
    """The third image of one and the fourth of the other are left alone; by hand: 0.5, 0.25, mean 0.375."""
    outcomes = {
        "a": outcome(x=certified({0: 1.0, 40: 0.25, 80: 9.0})),
        "b": outcome(y=certified({0: 0.5, 40: 0.0, 120: 9.0})),
    }
    first, second = Radius(evaluation="a", run="x"), Radius(evaluation="b", run="y")
    comparison = Paired(first=first, second=second)
    assert comparison.evaluations == ("a", "b")
    assert claim_of("more").judge({"a": outcomes["a"]}) == (None, Verdict.MISSING)
    assert comparison.compare(outcomes) == Difference(0.625, 0.25, *mean_interval([0.5, 0.25]), 2)
    half = {"at_least": 0.5}
    reached = Paired(first=first.model_copy(update=half), second=second.model_copy(update=half)).compare(
        outcomes
    )
    assert (reached.first, reached.second) == (0.5, 0.5)
    doubled = Gain(gain_of=Gain(gain_of=first, over=second), over=second)
    assert doubled.read(outcomes) == {0: 0.0, 40: 0.25}


def test_an_error_that_one_image_decides_is_not_judged() -> None:
    """Without it the baseline gets no worse under fog, so there is nothing to measure against."""
    rows = [
        ["one", "none", 0, "1111"], ["one", "fog", 1, "0111"],
        ["base", "none", 0, "1111"], ["base", "fog", 1, "1011"],
    ]  # fmt: skip
    outcomes = {"c": {"plan": {"every": 1}, "tables": {"corruptions-images": {"rows": rows}}}}
    for relative in (False, True):
        comparison = CorruptionErrors(
            evaluation="c", first="one", second="base", baseline="base", relative=relative
        )
        assert comparison.compare(outcomes) is None


ERRORS = {
    "one": {"none": ["1110"], "fog": ["1100", "1000"], "snow": ["0110", "0110"]},
    "base": {"none": ["1111"], "fog": ["1010", "0000"], "snow": ["0111", "1010"]},
}


@pytest.mark.parametrize("relative", [False, True])
def test_corruption_errors_are_those_of_the_suite(relative: bool) -> None:
    """By `evaluation.statistics.corruption_error`; without an image they are those of the others."""

    def expected(kept: tuple[int, ...]) -> float:
        rates = {
            name: {
                corruption: [sum(row[place] == "0" for place in kept) / len(kept) for row in rows]
                for corruption, rows in of.items()
            }
            for name, of in ERRORS.items()
        }
        clean = {name: of.pop("none")[0] for name, of in rates.items()}
        grown_from = (clean["one"], clean["base"]) if relative else ()
        return mean_of_known(mce_of(rates["one"], rates["base"], *grown_from)) or 0.0

    rows = [
        [name, corruption, severity, digits]
        for name, of in ERRORS.items()
        for corruption, found in of.items()
        for severity, digits in enumerate(found)
    ]
    outcomes = {"c": {"plan": {"every": 1}, "tables": {"corruptions-images": {"rows": rows}}}}
    found = CorruptionErrors(
        evaluation="c", first="one", second="base", baseline="base", relative=relative
    ).compare(outcomes)
    assert found is not None
    assert (found.first, found.second) == (pytest.approx(expected((0, 1, 2, 3))), pytest.approx(1.0))
    without = [expected(tuple(one for one in range(4) if one != place)) - 1.0 for place in range(4)]
    spread = mean_interval([-3 * one for one in without])  # the jackknife, about the difference
    assert found.high - found.low == pytest.approx(spread[1] - spread[0])
    assert found.high + found.low == pytest.approx(2 * found.difference)


def equal_accuracy(run: tuple[str, str], others: list[tuple[str, str]]) -> EqualAccuracy:
    def one(names: tuple[str, str]) -> Radius:
        return Radius(evaluation=names[0], run=names[1])

    return EqualAccuracy(run=one(run), others=tuple(map(one, others)))


def test_radii_are_compared_at_equal_accuracy() -> None:
    """The others have accuracies ½ and 1 with ACR 1 and ½; at ¾, which is the run's own, 0.75."""
    images = range(0, 800, 2)
    half = [1.0, 1.0, 0.0, 0.0] * 100
    outcomes = {
        "a": outcome(
            high=certified(
                dict(zip(images, (2 * value for value in half), strict=True)), accuracy="1100" * 100
            ),
            low=certified(dict.fromkeys(images, 0.5), accuracy="1111" * 100),
        ),
        "b": outcome(
            middle=certified(
                dict(zip(images, [0.4, 0.4, 0.4, 0.0] * 100, strict=True)), accuracy="1110" * 100
            ),
            below=certified(dict.fromkeys(images, 0.0), accuracy="0000" * 100),
            edge=certified(dict(zip(images, half, strict=True)), accuracy="0111" + "1100" * 99),
        ),
    }
    others = [("a", "high"), ("a", "low")]
    found = equal_accuracy(("b", "middle"), others).compare(outcomes)
    assert found is not None
    assert (found.first, found.second, found.images) == (pytest.approx(0.3), pytest.approx(0.75), 400)
    assert found.low < -0.45 < found.high < 0
    # All others are more accurate: what they would reach at its accuracy is not known, but it is no less.
    found = equal_accuracy(("b", "below"), others).compare(outcomes)
    assert found is not None
    assert (found.first, found.second, found.low) == (0.0, 1.0, -inf)
    assert found.high == pytest.approx(-1, abs=0.15)
    assert claim_of("more").verdict(found) is Verdict.DOES_NOT_HOLD
    # No other is as accurate.
    assert equal_accuracy(("a", "low"), [("a", "high")]).compare(outcomes) is None
    # Others just as accurate, and so less accurate in half of the samples: nothing is decided.
    assert equal_accuracy(("b", "edge"), [("a", "high")]).compare(outcomes) is None
