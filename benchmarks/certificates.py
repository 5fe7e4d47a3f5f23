"""Average certified radii of the methods: shipped models on test images."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.subjects import Images, Subject, test_images
from models.backends import ExecutableClassifier
from models.data import load_dataset
from models.training.measure import accuracy
from smoothing import (
    AUTO_GRID,
    Certification,
    Gaussian,
    Uniform,
    auto_noise,
    branch_seed,
    certify,
    combine,
    optimize_sigma,
)
from smoothing.hybrid import HybridCertification

IMAGES, VOTES = 150, 2_000
SIGMA, ALPHA = 0.5, 0.001
SIGMAS = (0.25, 0.5, 0.75, 1.0)

Answer = Certification | HybridCertification
Certify = Callable[[int, Tensor], Answer]
"""Returns the certificate of an image; the first argument is its number, which seeds the votes."""


def run(console: Console) -> None:
    """Prints one table per method."""
    images = test_images(IMAGES)
    adversarial, gaussian = Subject("fashion-mnist-adv-l2"), Subject("fashion-mnist-gaussian")
    console.print(_accuracies(adversarial))
    console.print(_adaptation(adversarial, images))
    console.print(_optimised(gaussian, images))
    console.print(_hybrid(gaussian, images))


def _accuracies(subject: Subject) -> Table:
    """Measures the accuracy under one draw of noise, over all test images."""
    title = f"{subject.name}: accuracy under noise, 10 000 test images"
    table = Table("sigma", "as trained", "adapted", title=title, title_justify="left")
    test = load_dataset("fashion-mnist").test
    for sigma in SIGMAS:
        before = accuracy(subject.bundle.base_classifier, test, sigma=sigma)
        after = accuracy(subject.adapted_module(Gaussian(sigma)), test, sigma=sigma)
        table.add_row(f"{sigma:g}", f"{before:.3f}", f"{after:.3f}")
    return table


def _adaptation(subject: Subject, images: Images) -> Table:
    table = _table(f"{subject.name}: adaptation and Auto-Noise")

    def auto(number: int, image: Tensor) -> Answer:
        at = subject.adapted_at()
        (level,) = auto_noise(at, image.unsqueeze(0), Gaussian, AUTO_GRID, batch_size=500, seed=number)
        return _gaussian(at(level.sigma), level.sigma, number, image)

    schemes: dict[str, Certify] = {
        f"as trained, sigma {SIGMA}": lambda number, image: _gaussian(subject.plain, SIGMA, number, image),
        f"adapted, sigma {SIGMA}": lambda number, image: _gaussian(
            subject.adapted(Gaussian(SIGMA)), SIGMA, number, image
        ),
        "adapted, Auto-Noise": auto,
    }
    for sigma in AUTO_GRID:  # before the schemes are timed
        subject.adapted(Gaussian(sigma))
    return _measured(table, schemes, images)


def _optimised(subject: Subject, images: Images) -> Table:
    table = _table(f"{subject.name}: OptimizeSigma")
    module = subject.bundle.base_classifier

    def optimised(number: int, image: Tensor) -> Answer:
        (level,) = optimize_sigma(lambda _sigma: module, image.unsqueeze(0), Gaussian, SIGMA, seed=number)
        return _gaussian(subject.plain, level.sigma, number, image)

    def auto(number: int, image: Tensor) -> Answer:
        (level,) = auto_noise(
            lambda _sigma: subject.plain,
            image.unsqueeze(0),
            Gaussian,
            AUTO_GRID,
            batch_size=500,
            seed=number,
        )
        return _gaussian(subject.plain, level.sigma, number, image)

    schemes: dict[str, Certify] = {
        f"sigma {SIGMA}, as trained with": lambda number, image: _gaussian(
            subject.plain, SIGMA, number, image
        ),
        "OptimizeSigma": optimised,
        "Auto-Noise": auto,
    }
    return _measured(table, schemes, images)


def _hybrid(subject: Subject, images: Images) -> Table:
    table = _table(f"{subject.name}: hybrid, sigma {SIGMA} for both noises")

    def hybrid(number: int, image: Tensor) -> Answer:
        return combine(
            *(
                certify(
                    subject.plain,
                    image,
                    noise,
                    n=VOTES,
                    alpha=ALPHA / 2,
                    batch_size=subject.plain.batch_size,
                    seed=branch_seed(number, noise.name),
                )
                for noise in (Gaussian(SIGMA), Uniform(SIGMA))
            )
        )

    schemes: dict[str, Certify] = {
        "Gaussian alone, alpha 0.001": lambda number, image: _gaussian(subject.plain, SIGMA, number, image),
        "Gaussian alone, alpha 0.0005": lambda number, image: _gaussian(
            subject.plain, SIGMA, number, image, alpha=ALPHA / 2
        ),
        "hybrid, alpha 0.001": hybrid,
    }
    return _measured(table, schemes, images)


def _gaussian(
    classifier: ExecutableClassifier, sigma: float, number: int, image: Tensor, *, alpha: float = ALPHA
) -> Certification:
    return certify(
        classifier,
        image,
        Gaussian(sigma),
        n=VOTES,
        alpha=alpha,
        batch_size=classifier.batch_size,
        seed=number,
    )


def _table(title: str) -> Table:
    columns = ("scheme", "ACR ℓ2", "ACR ℓ1", "right", "abstains", "s/image")
    return Table(*columns, title=f"{title}; {IMAGES} test images, n = {VOTES:,}", title_justify="left")


def _measured(table: Table, schemes: dict[str, Certify], images: Images) -> Table:
    for name, scheme in schemes.items():
        started = time.perf_counter()
        answers = [scheme(number, image) for number, image in enumerate(images.pixels)]
        seconds = time.perf_counter() - started
        right = [
            not answer.abstained and answer.top_class == label
            for answer, label in zip(answers, images.labels, strict=True)
        ]
        acr = {
            norm: sum(
                getattr(answer.radius, norm) for answer, good in zip(answers, right, strict=True) if good
            )
            / len(images)
            for norm in ("l2", "l1")
        }
        table.add_row(
            name,
            f"{acr['l2']:.4f}",
            f"{acr['l1']:.4f}",
            f"{sum(right) / len(images):.3f}",
            f"{sum(answer.abstained for answer in answers) / len(images):.3f}",
            f"{seconds / len(images):.2f}",
        )
    return table
