"""Votes per second: radii compared with the papers' loop and ART, on the same model and cores in one run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.plain import SIGMA, art_installed, art_votes, plain_counts
from models.architectures import build_architecture
from models.backends import BackendError, prepare
from models.bundles import ZOO, load_bundle
from models.clean_images import CALIBRATION_SIZE, clean_images
from models.initialise import initialised_from
from models.normalize import Normalize, NormalizedClassifier
from smoothing import Gaussian, count_classes, noisy_copies

ROUNDS = 3
SECONDS = 3.0
CERTIFICATE = 100_000
PLAIN = "plain float32, batch 1000"
ART = "ART, batch 32"
INSTALL_ART = "not installed: pip install '.[bench]'"


@dataclass(frozen=True)
class Case:
    """A model and an image for the measurement."""

    name: str
    module: nn.Module
    image: Tensor
    calibration: Tensor


@dataclass(frozen=True)
class Procedure:
    """A way to make votes: ``count(n)`` makes n votes; `smallest` is its batch."""

    name: str
    count: Callable[[int], object]
    smallest: int


def run(console: Console) -> None:
    """Prints one row per model and procedure."""
    table = Table(
        *("model", "procedure", "votes/s", "× plain", "× ART", f"s per certificate, n = {CERTIFICATE:,}*"),
        title=f"votes per second, {torch.get_num_threads()} threads, median of {ROUNDS} rounds",
        title_justify="left",
        caption="* computed from votes/s",
    )
    for case in cases():
        rates = measure(case)
        plain, art = rates[PLAIN], rates.get(ART)
        for name, rate in rates.items():
            ratios = (f"{rate / other:.1f}" if other else "-" for other in (plain, art))
            table.add_row(case.name, name, f"{rate:,.0f}", *ratios, f"{CERTIFICATE / rate:,.1f}")
        if art is None:
            table.add_row(case.name, f"ART: {INSTALL_ART}", *"----")
    console.print(table)


def cases() -> list[Case]:
    """Returns the shipped model, and an untrained one of the usual size for CIFAR-10."""
    generator = torch.Generator().manual_seed(0)
    bundle = load_bundle(ZOO / "fashion-mnist-gaussian")
    clean = clean_images(bundle, CALIBRATION_SIZE)
    with initialised_from(0):
        wide = build_architecture("preact_resnet18", 10, 3, {"width": 64})
    normalised = NormalizedClassifier(Normalize((0.5,) * 3, (0.25,) * 3), wide)
    colour = torch.rand((CALIBRATION_SIZE, 3, 32, 32), generator=generator)
    return [
        _case("PreActResNet18 width 16, 1×28×28", bundle.base_classifier, clean, generator),
        _case("PreActResNet18 width 64, 3×32×32", normalised, colour, generator),
    ]


def _case(name: str, module: nn.Module, images: Tensor, generator: torch.Generator) -> Case:
    noise = SIGMA * torch.randn(images.shape, generator=generator)
    return Case(name, module.eval(), images[0], images + noise)


def measure(case: Case) -> dict[str, float]:
    """Returns votes per second of each procedure; the procedures take turns in every round."""
    procedures = _procedures(case)
    steps = {one.name: _step(one) for one in procedures}
    rates: dict[str, list[float]] = {one.name: [] for one in procedures}
    for _ in range(ROUNDS):
        for one in procedures:
            started = time.perf_counter()
            one.count(steps[one.name])
            rates[one.name].append(steps[one.name] / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in rates.items()}


def _step(procedure: Procedure) -> int:
    """Returns a number of votes, in whole batches, that takes about `SECONDS`. This is also the warm-up."""
    started = time.perf_counter()
    procedure.count(procedure.smallest)
    batches = SECONDS / (time.perf_counter() - started)
    return max(1, round(batches)) * procedure.smallest


def _procedures(case: Case) -> list[Procedure]:
    found = [Procedure(PLAIN, lambda n: plain_counts(case.module, case.image, n, 10), 1000)]
    if art_installed():
        found.append(Procedure(ART, art_votes(case.module, case.image, 10), 320))
    for dtype in ("bfloat16", "int8"):
        try:
            found.append(_ours(case, dtype))
        except BackendError as error:
            print(f"{case.name}: no radii {dtype}: {error}")
    return found


def _ours(case: Case, dtype: str) -> Procedure:
    classifier = prepare(
        case.module,
        input_shape=(case.image.shape[0], case.image.shape[1], case.image.shape[2]),
        num_classes=10,
        device="cpu",
        dtype=dtype,
        calibration=case.calibration,
    )
    image = (case.image * 255).round().to(torch.uint8)  # as the service has it: the noise is exact
    copies = noisy_copies(image, Gaussian(SIGMA), 0, "benchmark")

    def count(n: int) -> None:
        with classifier.alone():
            count_classes(classifier, copies, n, num_classes=10, batch_size=classifier.batch_size)

    name = f"radii {classifier.dtype}, {classifier.backend}, batch {classifier.batch_size}"
    return Procedure(name, count, classifier.batch_size)
