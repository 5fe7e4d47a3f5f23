"""What K, the steps of OptimizeSigma, are worth: average certified radius over K.

Reference:
    Alfarra, Bibi, Torr & Ghanem, "Data Dependent Randomized Smoothing", UAI 2022, Algorithm 1 and the tables
    over K.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from statistics import fmean

from evaluation.errors import require
from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.statistics.intervals import clopper_pearson_interval, known_interval
from evaluation.subject import Subject, as_digits
from evaluation.suites.execution import executable, executed, record
from evaluation.suites.suite import Bench, Cell
from models.backends import ExecutableClassifier
from smoothing import Gaussian, certify, optimize_sigma, round_down
from smoothing.bounds import minimum_samples


def cells(bench: Bench) -> Iterator[Cell]:
    """Yield one measurement per bundle and K."""
    n, alpha = bench.plan.levels.n, bench.plan.levels.alpha
    least = minimum_samples(alpha)
    require(n >= least, "n", f"be >= {least} to certify at alpha = {alpha:g}", n)
    for subject in bench.subjects:
        classifier = cache(partial(_prepare, bench, subject))  # made by the first cell that needs it
        for steps in bench.plan.levels.steps:
            yield Cell(f"{subject.name}/{steps}", partial(_measure, bench, subject, steps, classifier))


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Make a table and a chart over K."""
    table = _table(plan, rows)
    names = list(dict.fromkeys(row["bundle"] for row in rows))
    lines = tuple(
        Line(
            name,
            tuple(float(row["steps"]) for row in rows if row["bundle"] == name),
            tuple(fmean(row["radii"]) for row in rows if row["bundle"] == name),
        )
        for name in names
    )
    chart = Chart("levels", table.title, "K", "average certified ℓ2 radius", lines)
    return Outcome((table,), (chart,), details=(_details(rows),))


def _prepare(bench: Bench, subject: Subject) -> ExecutableClassifier:
    sigmas = subject.bundle.card.recommended.sigma_grid or (_start(bench, subject),)
    return executable(bench, subject, subject.module, sigmas)


def _measure(bench: Bench, subject: Subject, steps: int, prepared: Callable[[], ExecutableClassifier]) -> Row:
    classifier = prepared()
    plan = bench.plan.levels
    sigmas = _sigmas(subject, bench, steps)
    radii, right, abstained = [], [], 0
    for place, (index, sigma) in enumerate(zip(bench.images.indices, sigmas, strict=True)):
        with classifier.alone():
            found = certify(
                classifier,
                bench.images.pixels[place],
                Gaussian(sigma),
                n=plan.n,
                alpha=plan.alpha,
                batch_size=classifier.batch_size,
                seed=bench.plan.image_seed(index),
            )
        good = not found.abstained and found.top_class == int(bench.images.labels[place])
        right.append(good)
        abstained += found.abstained
        radii.append(round_down(found.radius.l2) if good else 0.0)
    return {
        "bundle": subject.name,
        "steps": steps,
        "index": list(bench.images.indices),
        "sigmas": sigmas,
        "right": as_digits(right),
        "abstained": abstained,
        "radii": radii,
        "executed": record(classifier),
    }


def _table(plan: EvaluationPlan, rows: Sequence[Row]) -> Table:
    confidence = plan.certify.confidence
    lines = []
    for row in rows:
        right, images = row["right"].count("1"), len(row["right"])
        lines.append(
            (
                row["bundle"],
                row["steps"],
                images,
                fmean(row["sigmas"]),
                right / images,
                *clopper_pearson_interval(right, images, confidence),
                row["abstained"] / images,
                fmean(row["radii"]),
                *known_interval(row["radii"], confidence),
                executed([row]),
            )
        )
    return Table(
        "levels",
        "OptimizeSigma: average certified radius over K",
        (
            "bundle", "K", "images", "mean sigma", "accuracy", "accuracy from", "accuracy to", "abstained",
            "ACR ℓ2", "from", "to", "executed by",
        ),
        tuple(lines),
        f"K = 0 is the level that the ascent starts from. Certificates of {plan.levels.n} votes at "
        f"α = {plan.levels.alpha:g}, without adaptation; each is about the classifier smoothed at its "
        "own level, so this table compares levels and certifies no classifier that chooses them. From – to: "
        f"with probability {confidence:g} over which images are the test images.",
    )  # fmt: skip


def _details(rows: Sequence[Row]) -> Table:
    return Table(
        "levels-images",
        "OptimizeSigma, image by image",
        ("bundle", "K", "index", "sigma", "radius"),
        tuple(
            (row["bundle"], row["steps"], *image)
            for row in rows
            for image in zip(row["index"], row["sigmas"], row["radii"], strict=True)
        ),
        "The radius is 0 where the answer is wrong or missing.",
    )


def _sigmas(subject: Subject, bench: Bench, steps: int) -> list[float]:
    start = _start(bench, subject)
    images = bench.images.pixels
    if steps == 0:
        return [start] * len(images)
    found = optimize_sigma(
        lambda _sigma: subject.module,
        images,
        Gaussian,
        start,
        steps=steps,
        seed=bench.plan.seed,
    )
    return [level.sigma for level in found]


def _start(bench: Bench, subject: Subject) -> float:
    """The level that the ascent starts from."""
    return bench.plan.levels.sigma or subject.bundle.card.recommended.sigma
