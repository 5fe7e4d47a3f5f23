"""Votes under noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from smoothing import Gaussian, InvalidParameter, count_classes, noisy_copies
from smoothing.errors import InvalidLogits, NonFiniteLogits


def count(classifier: Callable[[Tensor], Tensor], image: Tensor, n: int, **changes: Any) -> np.ndarray:
    """Votes with everything at an ordinary value unless it is changed."""
    arguments: dict[str, Any] = {"num_classes": 2, "batch_size": 64, "stream": "estimation", **changes}
    copies = noisy_copies(image, Gaussian(0.5), 1, arguments.pop("stream"))
    return count_classes(classifier, copies, n, **arguments)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_votes_add_up_in_batches_of_at_most_batch_size(
    constant: Any, image: Tensor, n: int, device: str
) -> None:
    """The counts are int64, sum to n, and no call is larger than asked."""
    sizes: list[int] = []

    def classifier(images: Tensor) -> Tensor:
        sizes.append(len(images))
        logits: Tensor = constant(5, 3)(images)
        return logits

    counts = count(classifier, image.to(device), n, num_classes=5)
    assert counts.dtype == np.int64
    assert counts.tolist() == [0, 0, 0, n, 0]
    assert sum(sizes) == n
    assert max(sizes) <= 64


def test_frequencies_match_the_known_probabilities(stripes: Any, image: Tensor, device: str) -> None:
    """Chi-square of 20 000 votes against the exact class probabilities."""
    p = (0.45, 0.3, 0.2, 0.05)
    on = image.to(device)
    counts = count(stripes(p, 0.5, on), on, 20_000, num_classes=4, batch_size=1000)
    assert stats.chisquare(counts, 20_000 * np.array(p)).pvalue > 1e-6


def test_linear_classifier_gets_its_smoothed_probability(half_space: Any, image: Tensor, phi: Any) -> None:
    """P(class 0) = Φ(distance / σ), within five standard errors."""
    counts = count(half_space(0.3), image, 20_000, batch_size=5000)
    p = phi(0.3 / 0.5)
    assert counts[0] / 20_000 == pytest.approx(p, abs=5 * (p * (1 - p) / 20_000) ** 0.5)


def test_same_stream_gives_the_same_votes(stripes: Any, image: Tensor, device: str) -> None:
    """Votes in floating point are a function of stream and batch size, and another stream gives others."""
    on = image.to(device)
    classifier = stripes((0.5, 0.5), 0.5, on)
    one = count(classifier, on, 500)
    assert np.array_equal(one, count(classifier, on, 500))
    other = count(classifier, on, 500, stream="selection")
    assert not np.array_equal(one, other)


def test_global_seed_neither_matters_nor_changes(stripes: Any, image: Tensor) -> None:
    """Sampling leaves torch's global generator alone."""
    torch.manual_seed(0)
    one = count(stripes((0.5, 0.5), 0.5), image, 500)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert np.array_equal(one, count(stripes((0.5, 0.5), 0.5), image, 500))
    assert torch.equal(before, torch.get_rng_state())


def test_noise_is_fresh_in_each_batch_and_never_clipped(image: Tensor) -> None:
    """No two noisy copies are equal, they leave [0, 1], and their mean is the image."""
    seen: list[Tensor] = []

    def classifier(images: Tensor) -> Tensor:
        seen.append(images.clone())
        return torch.zeros(len(images), 2)

    count(classifier, image, 2000)
    copies = torch.cat(seen)
    assert len({tuple(copy) for copy in copies.flatten(1).tolist()}) == 2000
    assert float(copies.min()) < 0.0
    assert float(copies.max()) > 1.0
    assert torch.allclose(copies.mean(dim=0), image, atol=5 * 0.5 / 2000**0.5)


def test_classifier_may_overwrite_its_input(stripes: Any, image: Tensor) -> None:
    """The buffer is filled anew for each batch and the image is never written to."""
    classifier = stripes((0.5, 0.3, 0.2), 0.5)

    def in_place(images: Tensor) -> Tensor:
        logits: Tensor = classifier(images)
        images.fill_(7.0)
        return logits

    before = image.clone()
    assert np.array_equal(
        count(in_place, image, 500, num_classes=3), count(classifier, image, 500, num_classes=3)
    )
    assert torch.equal(image, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_logits_are_no_votes(image: Tensor, bad: float, device: str) -> None:
    """They are counted and refused, not silently given to some class; here 3 rows of each batch of 50."""

    def classifier(images: Tensor) -> Tensor:
        logits = torch.ones(len(images), 2, device=images.device)
        logits[:3, 1] = bad
        return logits

    with pytest.raises(NonFiniteLogits, match="got 6 of 100 rows"):
        count(classifier, image.to(device), 100, batch_size=50)


@pytest.mark.parametrize(
    "answer",
    [
        lambda images: torch.zeros(len(images), 3),
        lambda images: torch.zeros(len(images)),
        lambda images: torch.zeros(1, 2),
        lambda images: torch.zeros(len(images), 2, dtype=torch.int64),
    ],
    ids=["too_many_classes", "no_classes", "wrong_batch", "labels"],
)
def test_answers_that_are_no_logits_are_refused(answer: Callable[[Tensor], Tensor], image: Tensor) -> None:
    """Shape ``(b, k)`` and a floating type, or nothing is counted."""
    with pytest.raises(
        InvalidLogits, match=r"'base_classifier' must give floating logits of shape \(64, 2\)"
    ):
        count(answer, image, 100)


def test_half_precision_logits_are_welcome(image: Tensor) -> None:
    """The classifier may compute as it likes."""
    assert count(
        lambda images: torch.eye(2).to(torch.bfloat16)[:1].repeat(len(images), 1), image, 10
    ).tolist() == [10, 0]


def test_progress_reports_each_batch(constant: Any, image: Tensor) -> None:
    """``on_batch`` hears the size of each batch as it is done."""
    heard: list[int] = []
    count(constant(2, 0), image, 150, on_batch=heard.append)
    assert heard == [64, 64, 22]


def test_on_batch_may_abandon_the_work(constant: Any, image: Tensor) -> None:
    """What it raises comes out, and nothing more is computed."""
    calls = 0

    def classifier(images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        logits: Tensor = constant(2, 0)(images)
        return logits

    def abandon(votes: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        count(classifier, image, 10_000, on_batch=abandon)
    assert calls == 1


def small_memory(largest: int, sizes: list[int]) -> Callable[[Tensor], Tensor]:
    """A fair coin that has memory for batches up to a size; ``sizes`` hears those that it answers."""

    def classifier(images: Tensor) -> Tensor:
        if len(images) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(images))
        sign = (images - 0.5).flatten(1)[:, :1]
        return torch.cat([sign, -sign], dim=1)

    return classifier


def test_a_batch_too_large_for_memory_is_drawn_again_in_halves() -> None:
    """All votes are counted once, the caller hears each smaller size, and the law is as before."""
    sizes: list[int] = []
    smaller: list[int] = []
    heard: list[int] = []
    counts = count(
        small_memory(100, sizes),
        torch.full((1, 2, 3), 0.5),
        10_000,
        batch_size=700,
        on_batch=heard.append,
        on_smaller_batch=smaller.append,
    )
    assert smaller == [350, 175, 87]
    assert sizes == heard == [87] * 114 + [82]
    assert counts.sum() == 10_000
    assert stats.binomtest(int(counts[0]), 10_000).pvalue > 1e-6


def test_without_memory_for_one_image_the_error_comes_out(image: Tensor) -> None:
    """There is no smaller batch to try."""
    smaller: list[int] = []
    with pytest.raises(torch.OutOfMemoryError):
        count(small_memory(0, []), image, 10, batch_size=5, on_smaller_batch=smaller.append)
    assert smaller == [2, 1]


def test_nothing_is_recorded_for_gradients(image: Tensor) -> None:
    """The base classifier runs in inference mode."""
    weight = torch.ones(6, 2, requires_grad=True)

    def classifier(images: Tensor) -> Tensor:
        logits = images.flatten(1) @ weight
        assert not logits.requires_grad
        return logits

    count(classifier, image, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "'n' must be >= 1, got 0"),
        ({"num_classes": 1}, "'num_classes' must be >= 2, got 1"),
        ({"batch_size": 0}, "'batch_size' must be >= 1, got 0"),
        ({"image": torch.zeros(1, 1, 2, 3)}, r"'image' must have shape \(c, h, w\), got \(1, 1, 2, 3\)"),
        ({"image": torch.zeros(0, 2, 3)}, "'image' must have shape"),
        (
            {"image": torch.zeros(1, 2, 3, dtype=torch.bfloat16)},
            "'image' must be uint8, float32 or float64, got torch.bfloat16",
        ),
    ],
)
def test_bad_arguments_are_named(constant: Any, image: Tensor, changes: dict[str, Any], message: str) -> None:
    """The message says which rule was broken and by what."""
    image, n = changes.pop("image", image), changes.pop("n", 10)
    with pytest.raises(InvalidParameter, match=message):
        count(constant(2, 0), image, n, **changes)
