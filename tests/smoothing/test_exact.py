"""Certificates of images of bytes: exact noise, and what floating-point noise gets wrong."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from smoothing import (
    Certification,
    Gaussian,
    InvalidParameter,
    Looks,
    Observer,
    SmoothedClassifier,
    Uniform,
    Votes,
    auto_noise,
    certify,
    predict,
)

SIGMA = 0.5
SHAPE = (1, 28, 28)


def low_bits(images: Tensor) -> Tensor:
    """Answers by low bits of pixels just below 0, where a sum in floating point keeps those of the image.

    Reference:
        Voráček & Hein, "Sound Randomized Smoothing in Floating-Point Arithmetic", ICLR 2023.
    """
    pixels = images.flatten(1)
    odd = (pixels * 2**25).remainder(2) == 1
    seen = ((pixels < 0) & (pixels > -0.25) & odd).any(1).float()
    return torch.stack((seen, 1 - seen), dim=1)


def pair(changed: int) -> tuple[Tensor, Tensor, float]:
    """Grey images that differ by one grey level in so many pixels, and their distance."""
    one = torch.full(SHAPE, 128, dtype=torch.uint8)
    other = one.clone()
    other.view(-1)[:changed] = 127
    return one, other, math.sqrt(changed) / 255


def contradicts(one: Certification, other: Certification, distance: float) -> bool:
    """Whether one certificate says of the other's image what that one denies."""
    if one.abstained or other.abstained or one.top_class == other.top_class:
        return False
    return distance < max(one.radius.l2, other.radius.l2)


@pytest.mark.parametrize("changed", [16, 64, 784])
def test_floating_point_noise_certifies_what_is_false(changed: int) -> None:
    """Two images at a tenth of a grey level's distance from each other, opposite classes, large radii."""
    one, other, distance = pair(changed)
    found = [
        certify(low_bits, image / 255, Gaussian(SIGMA), n=2000, seed=seed)
        for seed, image in enumerate((one, other))
    ]
    assert contradicts(*found, distance)
    assert not any(each.exact for each in found)


@pytest.mark.parametrize("noise", [Gaussian(SIGMA), Uniform(SIGMA)])
def test_exact_noise_certifies_nothing_false(noise: Gaussian | Uniform) -> None:
    """Twenty pairs, seeds and numbers of changed pixels."""
    for seed, changed in enumerate((1, 8, 16, 64, 784) * 4):
        one, other, distance = pair(changed)
        found = [
            certify(low_bits, image, noise, n=1000, seed=2 * seed + i) for i, image in enumerate((one, other))
        ]
        assert not contradicts(*found, distance)
        assert all(each.exact for each in found)


def halves(images: Tensor) -> Tensor:
    """Bright images against dark ones."""
    mean = images.flatten(1).mean(dim=1)
    return torch.stack((mean - 0.5, 0.5 - mean), dim=1)


BYTES = (torch.arange(784).reshape(SHAPE) % 256).to(torch.uint8)


@pytest.mark.parametrize("noise", [Gaussian(SIGMA), Uniform(SIGMA), Gaussian(0.01)])
def test_votes_do_not_depend_on_batches(noise: Gaussian | Uniform) -> None:
    """Nor on how many follow: the first thousand are those of a thousand."""
    expected = certify(halves, BYTES, noise, n=1000, seed=3)
    for batch_size in (1, 7, 64, 512):
        found = certify(halves, BYTES, noise, n=1000, seed=3, batch_size=batch_size)
        assert np.array_equal(found.counts, expected.counts)
        assert np.array_equal(found.selection_counts, expected.selection_counts)
        assert found.radius == expected.radius
    seen: list[Certification] = []

    class Watch(Observer):
        def on_look(self, best: Certification) -> None:
            seen.append(best)

    longer = certify(halves, BYTES, noise, n=5000, seed=3, stop=Looks(), observer=Watch())
    again = [certify(halves, BYTES, noise, n=look.n_drawn, seed=3) for look in seen if look.n == look.n_drawn]
    assert [one.counts.tolist() for one in again] == [
        look.counts.tolist() for look in seen if look.n == look.n_drawn
    ]
    assert longer.segments[0].stream == "estimation"


def test_votes_go_on_where_a_crash_ended_them() -> None:
    """One stream, one segment, the same votes as without a crash, in selection as in estimation."""

    class Crash(Exception):
        pass

    class Keep(Observer):
        votes: Votes | None = None

        def __init__(self, records: int) -> None:
            self.left = records

        def on_votes(self, votes: Votes) -> None:
            self.votes = votes
            self.left -= 1
            if self.left == 0:
                raise Crash

    expected = certify(halves, BYTES, Gaussian(SIGMA), n=1000, seed=3, batch_size=64)
    for records in range(1, 17):
        keep = Keep(records)
        with pytest.raises(Crash):
            certify(halves, BYTES, Gaussian(SIGMA), n=1000, seed=3, batch_size=64, observer=keep)
        assert keep.votes is not None
        record = Votes.from_json(keep.votes.to_json())
        found = certify(halves, BYTES, Gaussian(SIGMA), n=1000, seed=3, batch_size=50, resume=record)
        assert np.array_equal(found.counts, expected.counts)
        assert np.array_equal(found.selection_counts, expected.selection_counts)
        assert [segment.stream for segment in found.segments] == ["estimation"]


def test_memory_that_runs_out_changes_no_vote() -> None:
    """Batches are halved, and each vote is made as it would have been."""

    def forgetful(images: Tensor) -> Tensor:
        if len(images) > 30:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return halves(images)

    whole = certify(halves, BYTES, Gaussian(SIGMA), n=1000, seed=3, batch_size=500)
    found = certify(forgetful, BYTES, Gaussian(SIGMA), n=1000, seed=3, batch_size=500)
    assert np.array_equal(found.counts, whole.counts)
    assert found.segments[0].batch_size <= 30


def test_copies_are_whole_steps() -> None:
    """What the classifier sees lies on the lattice: grey levels, or halves of them."""
    for noise, steps in ((Gaussian(SIGMA), 255), (Uniform(SIGMA), 255), (Gaussian(0.01), 510)):

        def classifier(images: Tensor, steps: int = steps) -> Tensor:
            whole = images.double() * steps
            assert float((whole - whole.round()).abs().max()) < 1e-3
            return halves(images)

        certify(classifier, BYTES, noise, n=100, seed=1)


def test_bounds_leave_room_for_the_error_of_the_law() -> None:
    """p_lower is smaller and p_upper larger, by τ."""
    always = certify(lambda images: halves(images * 0 + 1), BYTES, Gaussian(SIGMA), n=1000, seed=1)
    floating = certify(lambda images: halves(images * 0 + 1), BYTES / 255, Gaussian(SIGMA), n=1000, seed=1)
    error = Gaussian(SIGMA).lattice_error(784)
    assert 0 < error < 1e-12
    assert floating.bound.p_lower - always.bound.p_lower >= error * (1 - 1e-3)
    assert always.bound.p_upper - floating.bound.p_upper >= error * (1 - 1e-3)
    assert always.radius.l2 <= floating.radius.l2


def test_the_level_that_was_drawn_is_stated() -> None:
    """Uniform noise has the nearest level of the lattice; so have the trials of `auto_noise`."""
    found = certify(halves, BYTES, Uniform(0.1), n=200, seed=1)
    assert found.noise == Uniform(0.1).on_lattice() != Uniform(0.1)
    (level,) = auto_noise(lambda _: halves, BYTES.unsqueeze(0), Uniform, [0.1, 0.2], n=100, seed=1)
    assert level.sigma in {Uniform(sigma).on_lattice().sigma for sigma in (0.1, 0.2)}


def test_predictions_are_exact_too() -> None:
    """The same votes in batches of any size, and room for the error of the law in the test."""
    one, other = (
        predict(halves, BYTES, Gaussian(SIGMA), n=500, seed=2, batch_size=size) for size in (500, 33)
    )
    assert np.array_equal(one.counts, other.counts)
    assert one.exact
    assert SmoothedClassifier(halves, Gaussian(SIGMA)).predict(BYTES, n=500, seed=2).counts.tolist() == (
        one.counts.tolist()
    )


def test_an_image_of_other_numbers_is_refused() -> None:
    with pytest.raises(
        InvalidParameter, match=r"'image' must be uint8, float32 or float64, got torch\.int16"
    ):
        certify(halves, BYTES.to(torch.int16), Gaussian(SIGMA), n=200)
