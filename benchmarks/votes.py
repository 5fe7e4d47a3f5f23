"""Votes per second: `count_classes` against the plain procedure, same model, same cores, same run."""

import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from models.architectures import build_architecture
from models.backends import prepare
from models.bundles import ZOO, load_bundle
from models.normalize import Normalize, NormalizedClassifier
from smoothing import Gaussian, count_classes, generator_for

SIGMA = 0.5
SECONDS = 6.0
ROUNDS = 3


def plain_counts(classifier: nn.Module, image: Tensor, n: int, num_classes: int, batch: int = 1000) -> Tensor:
    """The procedure of the papers' scripts: float32, repeat the image, add noise, argmax, count."""
    counts = torch.zeros(num_classes, dtype=torch.int64)
    with torch.no_grad():
        while n > 0:
            size = min(batch, n)
            n -= size
            images = image.repeat((size, 1, 1, 1))
            predictions = classifier(images + torch.randn_like(images) * SIGMA).argmax(1)
            for prediction in predictions:
                counts[prediction] += 1
    return counts


def votes_per_second(count: Callable[[int], object], step: int) -> float:
    """Best of `ROUNDS` rounds of about `SECONDS` / `ROUNDS` each, after one warm-up."""
    count(step)
    rates = []
    for _ in range(ROUNDS):
        done, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS / ROUNDS:
            count(step)
            done += step
        rates.append(done / (time.perf_counter() - started))
    return statistics.median(rates)


def run(console: Console) -> None:
    """Prints one row per model."""
    table = Table(
        "model", "plain float32", "radii", "ratio", "how", title="votes per second", title_justify="left"
    )
    small = load_bundle(ZOO / "fashion-mnist-gaussian")
    wide = build_architecture("preact_resnet18", 10, 3, {"width": 64})
    normalised = NormalizedClassifier(Normalize((0.5,) * 3, (0.25,) * 3), wide)
    models = [
        ("PreActResNet18 width 16, 1×28×28", small.base_classifier, (1, 28, 28)),
        ("PreActResNet18 width 64, 3×32×32", normalised.eval(), (3, 32, 32)),
    ]
    for name, module, shape in models:
        plain, ours, how = measure(module, shape)
        table.add_row(name, f"{plain:,.0f}", f"{ours:,.0f}", f"{ours / plain:.1f}×", how)
    console.print(table)


def measure(module: nn.Module, shape: tuple[int, int, int]) -> tuple[float, float, str]:
    """Returns votes per second of the plain procedure and ours, and how ours was executed."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    plain = votes_per_second(lambda n: plain_counts(module, image, n, 10), 1000)
    classifier = prepare(module, device="cpu", dtype="auto", input_shape=shape, num_classes=10)
    generator = generator_for(0, "benchmark")

    def count(n: int) -> object:
        return count_classes(
            classifier,
            image,
            Gaussian(SIGMA),
            n,
            num_classes=10,
            batch_size=classifier.batch_size,
            generator=generator,
        )

    with classifier.alone():
        ours = votes_per_second(count, max(classifier.batch_size, 100) * 2)
    return plain, ours, f"{classifier.backend}, {classifier.dtype}, batch {classifier.batch_size}"
