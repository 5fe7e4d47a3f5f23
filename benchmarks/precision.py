"""Accuracy by precision: smoothed accuracy in float32, bfloat16 and int8 on the same images."""

import time

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.plain import SIGMA
from benchmarks.subjects import executable, test_images
from models.backends import BackendError
from models.bundles import ZOO, LoadedBundle, load_bundle
from smoothing import Gaussian, count_classes, noisy_copies

IMAGES = 2000
VOTES = 100


def run(console: Console) -> None:
    """Prints one row per precision; an image gets the same noise in all of them."""
    bundle = load_bundle(ZOO / "fashion-mnist-gaussian")
    images, labels = test_images(IMAGES)
    table = Table(
        *("precision", "smoothed accuracy", "points", "labels as in float32", "seconds"),
        title=f"majority of {VOTES} votes, σ = {SIGMA}, {IMAGES} test images",
        title_justify="left",
    )
    expected: Tensor | None = None
    for dtype in ("float32", "bfloat16", "int8"):
        started = time.perf_counter()
        try:
            found = majorities(bundle, images, dtype)
        except BackendError as error:
            table.add_row(dtype, str(error))
            continue
        expected = found if expected is None else expected
        accuracy, reference = (100 * float((one == labels).double().mean()) for one in (found, expected))
        equal = 100 * float((found == expected).double().mean())
        seconds = f"{time.perf_counter() - started:.0f}"
        table.add_row(dtype, f"{accuracy:.2f} %", f"{accuracy - reference:+.2f}", f"{equal:.2f} %", seconds)
    console.print(table)


def majorities(bundle: LoadedBundle, images: Tensor, dtype: str) -> Tensor:
    """Returns the most frequent class of each image ``(m,)``."""
    classifier = executable(bundle, [SIGMA], dtype=dtype, batch_size=VOTES)
    with classifier.alone():
        counts = [
            count_classes(
                classifier,
                noisy_copies(image, Gaussian(SIGMA), 0, f"precision/{index}"),
                VOTES,
                num_classes=10,
                batch_size=VOTES,
            )
            for index, image in enumerate(images)
        ]
    return torch.tensor([int(votes.argmax()) for votes in counts])
