"""Mean corruption error by hand, and the corrupted pictures."""

import numpy as np
import pytest

from evaluation.plan import Corruption
from evaluation.statistics.corruption_error import corruption_errors, mean_of_known
from evaluation.suites.corrupt import applicable, corrupt
from tests.models.support import grey_images, require_corruptions

MINE = {"fog": [0.2, 0.4], "snow": [0.3, 0.3]}
BASELINE = {"fog": [0.4, 0.8], "snow": [0.2, 0.4]}


def test_a_corruption_error_is_a_share_of_the_baseline_s() -> None:
    """Fog 0.6 / 1.2, snow 0.6 / 0.6: mCE 0.75."""
    ratios = corruption_errors(MINE, BASELINE)
    assert ratios == {"fog": pytest.approx(0.5), "snow": pytest.approx(1.0)}
    assert mean_of_known(ratios) == pytest.approx(0.75)


def test_the_relative_one_measures_growth_from_the_clean_error() -> None:
    """Clean 0.1 and 0.2: fog (0.1 + 0.3) / (0.2 + 0.6) = 0.5; snow (0.2 + 0.2) / (0 + 0.2) = 2."""
    ratios = corruption_errors(MINE, BASELINE, 0.1, 0.2)
    assert ratios == {"fog": pytest.approx(0.5), "snow": pytest.approx(2.0)}
    assert mean_of_known(ratios) == pytest.approx(1.25)


def test_a_baseline_that_does_not_get_worse_measures_nothing() -> None:
    ratios = corruption_errors({"fog": [0.5]}, {"fog": [0.3]}, 0.1, 0.3)
    assert ratios == {"fog": None}
    assert mean_of_known(ratios) is None
    assert corruption_errors({"fog": [0.5]}, {"fog": [0.0]}) == {"fog": None}


def test_small_images_are_not_stretched() -> None:
    """28×28: fourteen corruptions apply, and the fifteenth says why it does not."""
    small = applicable((1, 28, 28))
    assert [name for name, why in small.items() if why] == ["elastic_transform"]
    assert "28×28" in str(small["elastic_transform"])
    assert not any(applicable((3, 64, 64)).values())


# The first call of glass_blur compiles it, which takes seconds; the others are quick.
@pytest.mark.parametrize(
    "name", [name for name in Corruption if name not in ("elastic_transform", "glass_blur")]
)
def test_a_corruption_keeps_shape_and_repeats(name: str) -> None:
    """The same seed gives the same picture; nothing depends on, or changes, NumPy's global generator."""
    require_corruptions()
    images = grey_images(2, size=28)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = corrupt(images, name, 3, seed=1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    assert (first != images).any()
    np.random.random(7)  # noqa: NPY002 (it stands elsewhere now)
    assert (corrupt(images[:1], name, 3, seed=1) == first[:1]).all()


def test_every_image_and_every_seed_has_noise_of_its_own() -> None:
    require_corruptions()
    images = np.full((2, 1, 28, 28), 128, dtype=np.uint8)
    found = corrupt(images, "gaussian_noise", 1, seed=1)
    assert (found[0] != found[1]).any()
    assert (corrupt(images, "gaussian_noise", 1, seed=2) != found).any()


def test_the_worst_severity_changes_more_than_the_mildest() -> None:
    require_corruptions()
    images = np.full((4, 3, 32, 32), 128, dtype=np.uint8)
    mild, strong = (corrupt(images, "gaussian_noise", severity, seed=1) for severity in (1, 5))
    spread = [np.std(found.astype(float)) / 255 for found in (mild, strong)]
    assert spread[0] == pytest.approx(0.08, rel=0.1)  # ImageNet-C's constant of severity 1
    assert spread[1] > 3 * spread[0]
