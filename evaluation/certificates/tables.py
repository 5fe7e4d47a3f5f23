"""Tables of certificates: accuracy over radii, average radii, the best over σ, equal clean accuracy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from contract.choices import NoiseKind
from evaluation.certificates.details import every_record, histogram, histogram_chart, timings
from evaluation.plan import EvaluationPlan
from evaluation.records import NORMS, CertificateRecord, Norm, Row
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.statistics.curves import Run, at_equal_accuracy, envelope
from evaluation.statistics.intervals import clopper_pearson_interval, guaranteed_accuracy, known_interval
from evaluation.statistics.metrics import (
    abstention_rate,
    average_certified_radius,
    base_accuracy,
    certified_accuracy,
    certified_count,
)

_WORDS = {"l2": "ℓ2", "l1": "ℓ1", "linf": "ℓ∞"}
_CONVENTION = (
    "The part of the images that are answered right with a certified radius R ≥ r (at r = 0: answered "
    "right), pixels in [0, 1]; an abstention is not right."
)


@dataclass(frozen=True)
class Setting:
    """One run as it is asked for; None leaves a choice to the service.

    Attributes:
        bundle: name of the classifier.
        sigma: noise level.
        adapt: whether batch-norm statistics are re-estimated under the noise.
    """

    bundle: str
    sigma: float | None
    adapt: bool | None

    @property
    def key(self) -> str:
        """Names the run in the journal."""
        return f"{self.bundle}/{self.sigma!r}/{self.adapt}"


def settings(plan: EvaluationPlan) -> Iterator[Setting]:
    """Yield the runs of a plan, in the order of its tables."""
    for bundle in plan.bundles:
        for adapt in plan.certify.adapt:
            for sigma in plan.certify.sigmas:
                yield Setting(bundle, sigma, adapt)


def as_row(setting: Setting, record: CertificateRecord) -> Row:
    """Return what the journal keeps of one certificate."""
    return {"run": setting.key, "bundle": setting.bundle, "record": record.model_dump(mode="json")}


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Make all tables of a set of certificates, in the order of the plan."""
    runs = _runs(plan, rows)
    tables = [_summary(runs)]
    if plan.certify.asked.noise is NoiseKind.HYBRID:
        tables.append(_same_class(plan, runs))
    charts = []
    for norm in plan.certify.norms:
        tables += [_accuracy(plan, runs, norm), _average(plan, runs, norm), _envelope(plan, runs, norm)]
        tables += [_intervals(plan, runs, norm), _equal(plan, runs, norm)]
        charts.append(_chart(plan, runs, norm))
    kinds = list(dict.fromkeys(votes.noise for votes in runs[0].records[0].votes))
    for kind in kinds:
        tables.append(histogram(runs, kind))
        charts.append(histogram_chart(runs, kind))
    tables.append(every_record(runs))
    return Outcome(tuple(tables), tuple(charts), timings=(timings(runs),))


def _runs(plan: EvaluationPlan, rows: Sequence[Row]) -> list[Run]:
    runs = []
    for _, group in groupby(rows, key=lambda row: row["run"]):  # a plan's rows come run by run
        found = list(group)
        records = tuple(CertificateRecord.model_validate(row["record"]) for row in found)
        first = records[0]
        words = [found[0]["bundle"], plan.certify.asked.noise.value]
        words += [first.policy] if first.policy != "fixed" else []
        words += ["adapted"] if first.adapted else ["as trained"]
        scheme = ", ".join(words)
        sigma = first.sigma if first.policy == "fixed" else None
        name = scheme if sigma is None else f"{scheme}, σ = {sigma:g}"
        runs.append(Run(name, scheme, sigma, records))
    return runs


def _summary(runs: Sequence[Run]) -> Table:
    return Table(
        "certificates",
        "Certificates",
        (
            "run",
            "images",
            "smoothed accuracy",
            "abstained",
            *(f"ACR {_WORDS[norm]}" for norm in NORMS),
            "accuracy without noise",
            "mean sigma",
            "votes",
            "alpha",
            "bound",
            "executed by",
        ),
        tuple(
            (
                run.name,
                len(run.records),
                certified_accuracy(run.records, 0.0),
                abstention_rate(run.records),
                *(average_certified_radius(run.records, norm) for norm in NORMS),
                base_accuracy(run.records),
                sum(record.sigma for record in run.records) / len(run.records),
                run.records[0].n,
                run.records[0].alpha,
                run.records[0].bound,
                _executed(run.records),
            )
            for run in runs
        ),
        "ACR: mean certified radius, 0 for images answered wrong or not at all. Radii in pixel units. "
        "“Accuracy without noise” is the base classifier's own. A level chosen per image certifies the "
        "classifier smoothed at that level, not one that chooses it.",
    )


def _executed(records: Sequence[CertificateRecord]) -> str:
    return "; ".join(dict.fromkeys(f"{record.backend} {record.dtype}" for record in records))


def _accuracy(plan: EvaluationPlan, runs: Sequence[Run], norm: Norm) -> Table:
    radii = plan.certify.radii
    return Table(
        f"certified-accuracy-{norm}",
        f"Certified accuracy, {_WORDS[norm]}",
        ("run", *(f"{radius:g}" for radius in radii), "ACR"),
        tuple(
            (
                run.name,
                *(certified_accuracy(run.records, radius, norm) for radius in radii),
                average_certified_radius(run.records, norm),
            )
            for run in runs
        ),
        _CONVENTION,
    )


def _average(plan: EvaluationPlan, runs: Sequence[Run], norm: Norm) -> Table:
    first = _radii(runs[0], norm)
    rows: list[tuple[str | float | None, ...]] = []
    for run in runs:
        found = _radii(run, norm)
        mean = average_certified_radius(run.records, norm)
        gained = [found[index] - first[index] for index in found.keys() & first.keys()]
        difference = fmean(gained) if gained and run is not runs[0] else None
        paired = (None, None) if difference is None else known_interval(gained, plan.certify.confidence)
        rows.append(
            (
                run.name,
                len(found),
                mean,
                *known_interval([*found.values()], plan.certify.confidence),
                difference,
                *paired,
            )
        )
    return Table(
        f"average-radius-{norm}",
        f"Average certified {_WORDS[norm]} radius, and how sure it is",
        ("run", "images", "ACR", "from", "to", "more than the first run", "more from", "more to"),
        tuple(rows),
        f"From – to: the mean over all images of this kind, with probability {plan.certify.confidence:g} "
        "over which of them are the test images (Student). The difference is taken image by image.",
    )


def _same_class(plan: EvaluationPlan, runs: Sequence[Run]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for run in runs:
        for norm in ("l2", "l1"):
            found = [record.same_class_certified_radius(norm) for record in run.records]
            interval = known_interval(found, plan.certify.confidence)
            rows.append((run.name, _WORDS[norm], len(found), fmean(found), *interval))
    return Table(
        "same-class",
        "Average radius within which the answer stays the same",
        ("run", "norm", "images", "ACR", "from", "to"),
        tuple(rows),
        "A hybrid answers what its two smoothed classifiers agree on. Within its certified radius no other "
        "class is answered; within this one neither is it lost to abstention.",
    )


def _radii(run: Run, norm: Norm) -> dict[int, float]:
    """By test image."""
    return {record.index: record.certified_radius(norm) for record in run.records}


def _envelope(plan: EvaluationPlan, runs: Sequence[Run], norm: Norm) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        points = envelope([run for run in runs if run.scheme == scheme], plan.certify.radii, norm)
        rows += [(scheme, *point) for point in points]
    return Table(
        f"envelope-{norm}",
        f"The best noise level at each {_WORDS[norm]} radius",
        ("scheme", "radius", "certified accuracy", "run"),
        tuple(rows),
        "Each radius may have another level: no single classifier attains this curve.",
    )


def _intervals(plan: EvaluationPlan, runs: Sequence[Run], norm: Norm) -> Table:
    shown, alpha = plan.certify, plan.certify.asked.alpha
    rows: list[tuple[str | float, ...]] = []
    for run in runs:
        images = len(run.records)
        for radius in shown.radii:
            count = certified_count(run.records, radius, norm)
            low, high = clopper_pearson_interval(count, images, shown.confidence)
            sure = guaranteed_accuracy(count / images, images, alpha, shown.rho)
            rows.append((run.name, radius, count / images, low, high, sure))
    return Table(
        f"intervals-{norm}",
        f"How sure the certified accuracy is, {_WORDS[norm]}",
        ("run", "radius", "certified accuracy", "from", "to", "guaranteed on these images"),
        tuple(rows),
        f"From – to: the accuracy on all images of this kind, with probability {shown.confidence:g} over "
        "which of them are the test images (Clopper–Pearson). Guaranteed: the true certified accuracy on "
        "these very images is at least that, since few certificates can be wrong, except with "
        f"probability {shown.rho:g} over the votes.",
    )


def _equal(plan: EvaluationPlan, runs: Sequence[Run], norm: Norm) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        of_scheme = [run for run in runs if run.scheme == scheme]
        rows += [(scheme, *point) for point in at_equal_accuracy(of_scheme, plan.certify.levels, norm)]
    rows.sort(key=lambda row: float(row[1] or 0))
    return Table(
        f"equal-accuracy-{norm}",
        f"Average certified {_WORDS[norm]} radius at equal clean accuracy",
        ("scheme", "clean accuracy", "ACR there", "nearest run", "its clean accuracy", "its ACR"),
        tuple(rows),
        "Clean accuracy is the smoothed classifier's. ACR there: on the line between the two noise levels "
        "round it; empty where the runs do not reach it, so that more levels are needed.",
    )


def _chart(plan: EvaluationPlan, runs: Sequence[Run], norm: Norm) -> Chart:
    most = max(plan.certify.radii, default=0.0)
    radii = tuple(most * step / 100 for step in range(101))
    lines = [
        Line(run.name, radii, tuple(certified_accuracy(run.records, radius, norm) for radius in radii))
        for run in runs
    ]
    title = f"Certified accuracy, {_WORDS[norm]}"
    label = f"{_WORDS[norm]} radius, pixels in [0, 1]"
    return Chart(f"certified-accuracy-{norm}", title, label, "certified accuracy", tuple(lines))
