"""What is behind the tables of certificates: each of them, the spread of their bounds, the time they took."""

from collections.abc import Sequence

from evaluation.records import CertificateRecord
from evaluation.report.contents import Chart, Line, Table
from evaluation.statistics.curves import Run
from evaluation.statistics.metrics import p_lower_histogram


def histogram(runs: Sequence[Run], kind: str) -> Table:
    """Return how the lower bounds are spread."""
    return Table(
        f"p-lower-{kind}",
        f"Lower bounds of the top class's probability, {kind} noise",
        ("run", "from", "to", "images", "answered right"),
        tuple((run.name, *line) for run in runs for line in p_lower_histogram(run.records, kind)),
        "Votes stop early where they show that there will be no certificate; such a bound is that of fewer "
        "votes, and so lower than all of them would have made it.",
    )


def every_record(runs: Sequence[Run]) -> Table:
    """Return the table of all certificates, a row per image."""
    return Table(
        "records",
        "Every certificate",
        (
            "run", "index", "label", "predicted", "predicted without noise", "correct", "abstained",
            "radius l2", "radius l1", "radius linf", "same-class l2", "same-class l1", "sigma", "n drawn",
            "top count", "runner-up count", "p lower", "p upper",
        ),
        tuple(
            (
                run.name, record.index, record.label, record.predicted, record.base_predicted,
                int(record.correct), int(record.abstained), record.radius.l2, record.radius.l1,
                record.radius.linf, *_same_class(record), record.sigma, *_votes(record),
            )
            for run in runs
            for record in run.records
        ),
        "Of a hybrid, votes and bounds are those of its two noises, Gaussian first; within its radius no "
        "other class is answered, and within its same-class radius the answer is not lost to abstention "
        "either.",
    )  # fmt: skip


def _same_class(record: CertificateRecord) -> tuple[float | None, float | None]:
    same = record.same_class_radius
    return (None, None) if same is None else (same.l2, same.l1)


def _votes(record: CertificateRecord) -> tuple[str, ...]:
    columns = [
        (votes.n_drawn, votes.top_count, votes.runner_up_count, votes.p_lower, votes.p_upper)
        for votes in record.votes
    ]
    return tuple("; ".join(map(repr, values)) for values in zip(*columns, strict=True))


def timings(runs: Sequence[Run]) -> Table:
    """Return how long it took."""
    rows = []
    for run in runs:
        seconds = sum(record.seconds for record in run.records)
        samples = sum(record.samples for record in run.records)
        rows.append((run.name, len(run.records), samples, seconds, samples / seconds if seconds else None))
    return Table(
        "timings",
        "Time spent sampling",
        ("run", "images", "noisy copies", "seconds", "copies per second"),
        tuple(rows),
        "Choosing the level included; added up over workers.",
    )


def histogram_chart(runs: Sequence[Run], kind: str) -> Chart:
    """Return the same as a chart."""
    lines = []
    for run in runs:
        bins = p_lower_histogram(run.records, kind)
        total = max(1, sum(count for _, _, count, _ in bins))
        lines.append(
            Line(
                run.name,
                tuple((low + high) / 2 for low, high, _, _ in bins),
                tuple(count / total for _, _, count, _ in bins),
            )
        )
    title = f"Lower bounds of the top class's probability, {kind} noise"
    return Chart(f"p-lower-{kind}", title, "lower bound", "share of the images", tuple(lines), steps=True)
