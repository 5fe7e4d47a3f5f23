"""What a bound is worth: the certified radius of each image by every bound, from the very same votes.

Reference:
    Feng, Wu, Chen, Zhang & Ning, "Regularized Training and Tight Certification for Randomized Smoothed
    Classifier with Provable Robustness", AAAI 2020, Figure 2.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import fmean

import numpy as np

from evaluation.errors import require
from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.statistics.intervals import known_interval
from evaluation.subject import Subject
from evaluation.suites.execution import executable, executed, record
from evaluation.suites.suite import Bench, Cell
from models.backends import ExecutableClassifier
from smoothing import Gaussian, certify
from smoothing.bounds import BOUNDS, minimum_samples, split_alpha

REFERENCE = "one_sided"
"""What the other bounds are compared with: Cohen et al.'s."""
ORDER = (REFERENCE, *(name for name in BOUNDS if name != REFERENCE))


@dataclass(frozen=True)
class _Run:
    """One classifier under one noise; those of one cell after the other share the classifier."""

    subject: Subject
    sigma: float
    adapt: bool

    @property
    def name(self) -> str:
        scheme = "adapted" if self.adapt else "as trained"
        return f"{self.subject.name}, {scheme}, σ = {self.sigma:g}"


def cells(bench: Bench) -> Iterator[Cell]:
    """Yield the votes of one image after the other, run by run."""
    for run in list(_runs(bench)):  # what is refused is refused before the first votes
        classifier = cache(partial(_prepare, bench, run))  # made by the first cell that needs it
        for place, index in enumerate(bench.images.indices):
            yield Cell(f"{run.name}/{index}", partial(_measure, bench, run, place, classifier))


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Make a table, a chart and every radius."""
    runs = {row["run"]: [one for one in rows if one["run"] == row["run"]] for row in rows}
    radii = {(run, bound): _radii(plan, found, bound) for run, found in runs.items() for bound in ORDER}
    most = max(plan.certify.radii, default=0.0)
    axis = tuple(most * step / 100 for step in range(101))
    lines = tuple(
        Line(f"{run}, {bound}", axis, tuple(_reaching(found, radius) for radius in axis))
        for (run, bound), found in radii.items()
    )
    chart = Chart(
        "bounds",
        "Certified accuracy by bound",
        "ℓ2 radius, pixels in [0, 1]",
        "certified accuracy",
        lines,
    )
    return Outcome((_table(plan, runs, radii),), (chart,), details=(_details(runs, radii),))


def _runs(bench: Bench) -> Iterator[_Run]:
    plan, asked = bench.plan.certify, bench.plan.certify.asked
    least = minimum_samples(asked.alpha)
    for subject in bench.subjects:
        n = asked.n or subject.bundle.card.recommended.n
        require(n >= least, "n", f"be >= {least} to certify at alpha = {asked.alpha:g}", n)
        for adapt in plan.adapt:
            for sigma in plan.sigmas:
                chosen = subject.adaptable if adapt is None else adapt
                require(subject.adaptable or not chosen, "adapt", f"be no for {subject.name}", "yes")
                yield _Run(subject, sigma or subject.bundle.card.recommended.sigma, chosen)


def _measure(bench: Bench, run: _Run, place: int, prepared: Callable[[], ExecutableClassifier]) -> Row:
    asked, subject = bench.plan.certify.asked, run.subject
    classifier = prepared()
    index = bench.images.indices[place]
    with classifier.alone():
        found = certify(
            classifier,
            bench.images.pixels[place],
            Gaussian(run.sigma),
            n0=asked.n0,
            n=asked.n or subject.bundle.card.recommended.n,
            alpha=asked.alpha,
            batch_size=classifier.batch_size,
            seed=bench.plan.image_seed(index),
        )
    return {
        "run": run.name,
        "executed": record(classifier),
        "sigma": run.sigma,
        "dimension": bench.images.pixels[place].numel(),
        "index": index,
        "label": int(bench.images.labels[place]),
        "top_class": found.top_class,
        "selection_counts": found.selection_counts.tolist(),
        "counts": found.counts.tolist(),
    }


def _prepare(bench: Bench, run: _Run) -> ExecutableClassifier:
    asked, subject = bench.plan.certify.asked, run.subject
    module = subject.module
    if run.adapt:
        module = subject.adapted(
            Gaussian(run.sigma),
            seed=bench.plan.seed,
            stream="bounds",
            momentum=1.0 if asked.momentum is None else asked.momentum,
            clean=subject.clean(asked.clean_size),
        )
    return executable(bench, subject, module, (run.sigma,))


def certified_radius(row: Row, bound: str, alpha: float) -> float:
    """Return the ℓ2 radius that a bound makes of one image's votes, rounded down; 0 if the answer is wrong.

    Args:
        row: Votes, as a cell measured them.
        bound: A name in ``BOUNDS``.
        alpha: Failure probability.
    """
    if row["top_class"] != row["label"]:
        return 0.0
    selection = np.array(row["selection_counts"], dtype=np.int64)
    counts = np.array(row["counts"], dtype=np.int64)
    # As a certificate is made: the split of alpha follows from the selection votes.
    found = BOUNDS[bound](counts, row["top_class"], alpha, alpha_upper=split_alpha(selection, alpha))
    if not found.certifies:
        return 0.0
    noise = Gaussian(row["sigma"])
    return noise.radius(found.p_lower, found.p_upper, dimension=row["dimension"]).rounded_down().l2


def _radii(plan: EvaluationPlan, rows: Sequence[Row], bound: str) -> list[float]:
    return [certified_radius(row, bound, plan.certify.asked.alpha) for row in rows]


def _reaching(found: Sequence[float], radius: float) -> float:
    """The part of the images with that radius; radius 0 needs some radius, since an abstention has none."""
    return sum(one >= radius and one > 0 for one in found) / len(found)


def _table(
    plan: EvaluationPlan, runs: dict[str, list[Row]], radii: dict[tuple[str, str], list[float]]
) -> Table:
    rows: list[tuple[str | int | float | None, ...]] = []
    for (run, bound), found in radii.items():
        gained = [one - other for one, other in zip(found, radii[run, REFERENCE], strict=True)]
        compared: tuple[float | int | None, ...] = (None,) * 5
        if bound != REFERENCE:
            larger, smaller = sum(gain > 0 for gain in gained), sum(gain < 0 for gain in gained)
            compared = (
                fmean(gained),
                *known_interval(gained, plan.certify.confidence),
                larger,
                smaller,
            )
        rows.append(
            (
                run,
                bound,
                len(found),
                fmean(found),
                *known_interval(found, plan.certify.confidence),
                *compared,
                executed(runs[run]),
                *(_reaching(found, radius) for radius in plan.certify.radii),
            )
        )
    return Table(
        "bounds",
        "Average certified ℓ2 radius by bound, from the same votes",
        (
            "run", "bound", "images", "ACR ℓ2", "from", "to", f"more than {REFERENCE}", "more from",
            "more to", "larger on", "smaller on", "executed by",
            *(f"{radius:g}" for radius in plan.certify.radii),
        ),
        tuple(rows),
        "Gaussian noise of a fixed level. From – to: with probability "
        f"{plan.certify.confidence:g} over which images are the test images (Student); the difference is "
        "taken image by image. Larger on, smaller on: images with a larger or smaller radius than by "
        f"{REFERENCE}. Last columns: certified accuracy at these radii; at 0: answered right, with some "
        "radius. t_certify is as published: nothing proves its maximum over splits of α.",
    )  # fmt: skip


def _details(runs: dict[str, list[Row]], radii: dict[tuple[str, str], list[float]]) -> Table:
    return Table(
        "bounds-images",
        "Every radius by every bound",
        ("run", "index", *ORDER),
        tuple(
            (run, row["index"], *(radii[run, bound][place] for bound in ORDER))
            for run, rows in runs.items()
            for place, row in enumerate(rows)
        ),
        "0 where the answer is wrong or missing.",
    )
