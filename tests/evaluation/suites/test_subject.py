"""The images that are evaluated."""

from pathlib import Path

from evaluation.subject import Images, choose_images
from evaluation.suites.suite import Bench
from models.data import load_dataset


def test_images_are_chosen_by_stride(bench: Bench, synthetic_fashion: Path) -> None:
    test = load_dataset("fashion-mnist", synthetic_fashion).test
    chosen = choose_images(test, 4, 6)
    assert chosen.indices == (0, 6, 12, 18)
    assert chosen.labels.tolist() == [0, 6, 2, 8]
    assert float(chosen.pixels.max()) <= 1.0
    assert isinstance(chosen, Images)
