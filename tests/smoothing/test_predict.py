"""Predictions of the smoothed classifier."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from smoothing import Gaussian, InvalidParameter, Observer, Prediction, predict
from smoothing.errors import NonFiniteLogits
from smoothing.predict import decide


def prediction(classifier: Any, image: Tensor, **changes: Any) -> Prediction:
    """A prediction with everything at a small ordinary value unless it is changed."""
    arguments: dict[str, Any] = {"n": 1000, "batch_size": 300, "seed": 1, **changes}
    return predict(classifier, image, Gaussian(0.5), **arguments)


def test_clear_class_is_predicted(half_space: Any, image: Tensor, device: str) -> None:
    """Far from the plane the class is g's."""
    got = prediction(half_space(0.5), image.to(device))
    assert (got.top_class, got.runner_up, got.abstained) == (0, 1, False)
    assert got.counts.sum() == got.n == 1000
    assert got.alpha == 0.001


def test_tie_abstains(half_space: Any, image: Tensor) -> None:
    """On the plane the top two classes cannot be told apart."""
    got = prediction(half_space(0.0), image)
    assert got.abstained
    assert got.p_value > 0.001


def test_unanimous_votes_have_no_runner_up(constant: Any, image: Tensor) -> None:
    """The p-value of n equal votes is 2·2⁻ⁿ."""
    got = prediction(constant(3, 2), image, n=20)
    assert (got.top_class, got.runner_up, got.abstained) == (2, None, False)
    assert got.p_value == pytest.approx(2.0**-19, rel=1e-12)


@pytest.mark.parametrize(
    ("counts", "top_class", "runner_up"),
    [([60, 40], 0, 1), ([10, 50, 40], 1, 2), ([0, 0, 9, 1], 2, 3), ([50, 50], 0, 1), ([7, 0, 0], 0, None)],
)
def test_rule_is_the_two_sided_binomial_test_of_the_top_two(
    counts: list[int], top_class: int, runner_up: int | None
) -> None:
    """Twice the tail of Bin(n1 + n2, ½) at the larger count, at most 1."""
    first, second = sorted(counts)[::-1][:2]
    tail = min(1.0, 2 * stats.binom.sf(first - 1, first + second, 0.5))
    for alpha in (0.4, 0.05, 0.001):
        got = decide(np.array(counts), alpha)
        assert (got.top_class, got.runner_up) == (top_class, runner_up)
        assert got.p_value == pytest.approx(tail, rel=1e-12)
        assert got.abstained == (tail > alpha)


def test_same_seed_gives_the_same_votes_on_a_stream_of_its_own(stripes: Any, image: Tensor) -> None:
    """Predictions can be repeated."""
    one, two, other = (prediction(stripes((0.5, 0.5), 0.5), image, seed=seed).counts for seed in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_progress_counts_every_vote(constant: Any, image: Tensor) -> None:
    """The observer hears completed and planned."""
    heard: list[tuple[int, int]] = []

    class Hearing(Observer):
        def on_progress(self, completed: int, planned: int) -> None:
            heard.append((completed, planned))

    prediction(constant(2, 0), image, observer=Hearing())
    assert heard == [(300, 1000), (600, 1000), (900, 1000), (1000, 1000)]


def test_the_seed_is_drawn_and_kept(stripes: Any, image: Tensor) -> None:
    """The votes can be drawn again from the result."""
    classifier = stripes((0.5, 0.5), 0.5)
    one, two = prediction(classifier, image, seed=None), prediction(classifier, image, seed=None)
    assert one.seed != two.seed
    assert prediction(classifier, image, seed=one.seed).counts.tolist() == one.counts.tolist()


def test_nan_is_not_predicted(image: Tensor) -> None:
    """A broken classifier gets an error."""
    with pytest.raises(NonFiniteLogits):
        prediction(lambda images: torch.full((len(images), 2), torch.nan), image)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0.5}, r"'alpha' must be in \(0, 0\.5\), got 0\.5"),
        ({"n": 0}, "'n' must be >= 1, got 0"),
        ({"image": torch.zeros(3)}, "'image' must have shape"),
        ({"image": torch.full((1, 2, 3), 255.0)}, r"'image' must lie in \[0, 1\]"),
    ],
)
def test_bad_arguments_are_named(constant: Any, image: Tensor, changes: dict[str, Any], message: str) -> None:
    """The message says which rule was broken and by what."""
    image = changes.pop("image", image)
    with pytest.raises(InvalidParameter, match=message):
        prediction(constant(2, 0), image, **changes)
