"""Accuracy under noise, as trained and adapted, and what adaptation owes to its parameters.

Reference:
    "Certification through Adaptation", Table 2 and, for the sweeps, Tables 5 and 6 (arXiv:2102.05096).
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean, stdev

from torch import Tensor

from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.statistics.intervals import known_interval
from evaluation.subject import Subject, as_digits, right_answers
from evaluation.suites.suite import Bench, Cell
from smoothing import Gaussian

_TRAINED, _ADAPTED = "as trained", "adapted"


def cells(bench: Bench) -> Iterator[Cell]:
    """Yield the main table, then the three sweeps, of every bundle."""
    plan = bench.plan.noise
    for subject in bench.subjects:
        for sigma in (0.0, *plan.sigmas):
            yield _cell(bench, subject, "noise", sigma, momentum=0.0)
            if sigma > 0 and subject.adaptable:
                yield _cell(bench, subject, "noise", sigma)
        if subject.adaptable:
            yield from _sweeps(bench, subject)


def _sweeps(bench: Bench, subject: Subject) -> Iterator[Cell]:
    plan = bench.plan.noise
    sigma, whole = plan.sweep_sigma, len(subject.clean())
    for draw in range(plan.draws):
        for momentum in plan.momenta:
            yield _cell(bench, subject, "momentum", sigma, momentum=momentum, draw=draw)
        for size in plan.clean_sizes:
            if size <= whole:
                yield _cell(bench, subject, "clean_size", sigma, clean_size=size, draw=draw)
        size = min(whole, len(bench.unseen))
        if size >= 2:
            for source in ("training", "test"):
                yield _cell(bench, subject, "source", sigma, clean_size=size, source=source, draw=draw)


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Make one table per question."""
    main = [row for row in rows if row["about"] == "noise"]
    tables = [_main(main)]
    sigma = plan.noise.sweep_sigma
    for column, title in (
        ("momentum", "weight of the new statistics (ρ; 0: as trained)"),
        ("clean_size", "number of clean images, ρ = 1"),
        ("source", "clean images of the training or of the test split"),
    ):
        found = [row for row in rows if row["about"] == column]
        if found:
            tables.append(_sweep(plan, found, column, f"Adaptation at σ = {sigma:g}: {title}"))
    return Outcome(tuple(tables), (_chart(main),), details=(_details(main),))


def _cell(
    bench: Bench,
    subject: Subject,
    about: str,
    sigma: float,
    *,
    momentum: float = 1.0,
    clean_size: int | None = None,
    source: str = "training",
    draw: int = 0,
) -> Cell:
    key = f"{subject.name}/{about}/{sigma!r}/{momentum!r}/{clean_size}/{source}/{draw}"

    def measure() -> Row:
        seed, noise = bench.plan.seed, Gaussian(sigma) if sigma > 0 else None
        module = subject.module
        if noise is not None and momentum > 0.0:
            clean = _clean(bench, subject, source, clean_size)
            module = subject.adapted(noise, seed=seed, stream=f"{draw}", momentum=momentum, clean=clean)
        return {
            "about": about,
            "bundle": subject.name,
            "sigma": sigma,
            "momentum": momentum,
            "clean_size": clean_size,
            "source": source,
            "draw": draw,
            "right": as_digits(right_answers(module, bench.images, noise=noise, seed=seed).tolist()),
        }

    return Cell(key, measure)


def _clean(bench: Bench, subject: Subject, source: str, size: int | None) -> Tensor:
    """Clean images of either split; those of the test split are none that accuracy is measured on."""
    return bench.unseen.pixels[:size] if source == "test" else subject.clean(size)


def _accuracy(row: Row) -> float:
    digits: str = row["right"]
    return digits.count("1") / len(digits)


def _main(rows: Sequence[Row]) -> Table:
    found: dict[tuple[str, float], dict[str, float]] = {}
    for row in rows:
        found.setdefault((row["bundle"], row["sigma"]), {})[_scheme(row)] = _accuracy(row)
    return Table(
        "noise",
        "Accuracy under Gaussian noise",
        ("bundle", "sigma", "images", _TRAINED, _ADAPTED),
        tuple(
            (bundle, sigma, len(rows[0]["right"]), accuracy.get(_TRAINED), accuracy.get(_ADAPTED))
            for (bundle, sigma), accuracy in found.items()
        ),
        "One draw of noise per image, the same for all classifiers. Adapted: batch-norm statistics of the "
        "bundle's clean images under the same noise; empty where a bundle cannot be adapted.",
    )


def _details(rows: Sequence[Row]) -> Table:
    return Table(
        "noise-images",
        "Accuracy under Gaussian noise, image by image",
        ("bundle", "sigma", "scheme", "right"),
        tuple((row["bundle"], row["sigma"], _scheme(row), row["right"]) for row in rows),
        "A digit per image, 1 where it is answered right.",
    )


def _sweep(plan: EvaluationPlan, rows: Sequence[Row], column: str, title: str) -> Table:
    """Means over draws of the clean images' noise."""
    kept = dict.fromkeys((row["bundle"], row[column]) for row in rows)
    lines = []
    for bundle, value in kept:
        found = [row for row in rows if (row["bundle"], row[column]) == (bundle, value)]
        shares = [_accuracy(row) for row in found]
        draws = [row["right"] for row in found]
        of_image = [fmean([float(digit) for digit in digits]) for digits in zip(*draws, strict=True)]
        interval = known_interval(of_image, plan.certify.confidence)
        lines.append(
            (bundle, value, len(found), fmean(shares), stdev(shares) if len(shares) > 1 else None, *interval)
        )
    return Table(
        f"noise-{column.replace('_', '-')}",
        title,
        ("bundle", column, "draws", "accuracy", "standard deviation", "from", "to"),
        tuple(lines),
        "Mean over draws of the noise on the clean images, and the deviation of one draw; the noise on the "
        f"test images stays the same. From – to: with probability {plan.certify.confidence:g} over which "
        "images are the test images (Student).",
    )


def _chart(rows: Sequence[Row]) -> Chart:
    named = sorted((f"{row['bundle']}, {_scheme(row)}", row["sigma"], _accuracy(row)) for row in rows)
    lines = [
        Line(name, tuple(point[1] for point in points), tuple(point[2] for point in points))
        for name, points in ((name, list(group)) for name, group in groupby(named, key=lambda row: row[0]))
    ]
    return Chart("noise", "Accuracy under Gaussian noise", "σ", "accuracy", tuple(lines))


def _scheme(row: Row) -> str:
    return _ADAPTED if row["momentum"] > 0 else _TRAINED
