"""Answers as a person reads them. Every radius is rounded down once more, never up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_FLOOR, Decimal

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from contract.certificates import Certificate, Compute, Prediction, Verification
from contract.choices import NoiseKind
from contract.jobs import Progress as JobProgress
from contract.models import ModelList


def floor(value: float, decimals: int = 4) -> str:
    """Returns ``value`` with so many decimals, rounded down.

    >>> floor(0.81239), floor(0.3)
    ('0.8123', '0.3000')
    """
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR))


def in_255(value: float) -> str:
    """Returns a radius in units of 0–255 pixels, rounded down.

    >>> in_255(0.5)
    '127.5'
    """
    return str((Decimal(repr(value)) * 255).quantize(Decimal("0.1"), rounding=ROUND_FLOOR))


def show_certificate(console: Console, certificate: Certificate, classes: list[str] | None = None) -> None:
    """Prints a certificate: label, radius, how it came about, what it means."""
    label = "no label: the classifier abstains" if certificate.label is None else certificate.label.name
    style = "yellow" if certificate.abstained else "green"
    body = Group(
        _headline(certificate), Text(), _facts(certificate, classes), Text(), Text(_meaning(certificate))
    )
    console.print(
        Panel(body, title=f"[bold]{label}[/bold]", border_style=style, width=min(console.width, 96))
    )


def _headline(certificate: Certificate) -> Text:
    radius = certificate.radius
    if certificate.abstained:
        return Text(
            "certified radius 0: these votes do not separate any class from the others", "bold yellow"
        )
    return Text.assemble(
        ("certified radius ", "bold"),
        (floor(radius.l2), "bold green"),
        f" in ℓ2, pixels 0–1   =   {in_255(radius.l2)} in ℓ2, pixels 0–255",
    )


def _facts(certificate: Certificate, classes: list[str] | None) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    radius = certificate.radius
    facts.add_row("also", f"ℓ1 {floor(radius.l1)}, ℓ∞ {floor(radius.linf, 6)} (pixels 0–1)")
    for evidence in certificate.noise:
        top = evidence.counts[evidence.top_class]
        share = f"{top:,} of {evidence.n:,} for {_class_name(evidence.top_class, certificate, classes)}"
        if evidence.runner_up is not None:
            second = evidence.counts[evidence.runner_up]
            share += f", then {second:,} for {_class_name(evidence.runner_up, certificate, classes)}"
        facts.add_row("votes", share)
        facts.add_row(
            "bounds",
            f"p ≥ {floor(evidence.p_lower)}, any other ≤ {1 - float(floor(1 - evidence.p_upper)):.4f}",
        )
        facts.add_row(
            "noise", f"{evidence.noise.value}, σ = {evidence.sigma:g} ({evidence.sigma * 255:.1f} of 255)"
        )
        facts.add_row(
            "at most",
            f"{floor(evidence.radius_limit)} is what {evidence.n_planned:,} votes can certify at this σ",
        )
    facts.add_row(
        "α", f"{certificate.alpha:g}: the chance, over the sampling, that this certificate is wrong"
    )
    facts.add_row("model", f"{certificate.model} ({certificate.model_digest[:12]})")
    facts.add_row(
        "unsmoothed",
        certificate.prediction.name + ("" if certificate.agrees is not False else "  (disagrees)"),
    )
    if certificate.correct is not None:
        facts.add_row("correct", "yes" if certificate.correct else "no")
    facts.add_row("computed", _speed(certificate.compute))
    facts.add_row("id", certificate.id)
    return facts


def _class_name(index: int, certificate: Certificate, classes: list[str] | None) -> str:
    if classes is not None:
        return classes[index]
    known = {label.index: label.name for label in (certificate.label, certificate.prediction) if label}
    return known.get(index, f"class {index}")


def _meaning(certificate: Certificate) -> str:
    if certificate.label is None:
        return "What it means: nothing is claimed about this image. More votes, or another σ, may certify it."
    norm = "ℓ1" if certificate.noise[0].noise is NoiseKind.UNIFORM else "ℓ2"
    radius = certificate.radius.l1 if norm == "ℓ1" else certificate.radius.l2
    return (
        f"What it means: change the pixels in any way whose {norm} length is below {floor(radius)}, and the "
        f"smoothed classifier still answers “{certificate.label.name}”. With probability "
        f"{certificate.alpha:g} or less the votes misled us. It says nothing of whether the label is true."
    )


def _speed(compute: Compute) -> str:
    return (
        f"{compute.samples:,} votes in {compute.seconds:.2f} s ({compute.samples_per_second:,.0f} a second; "
        f"{compute.backend}, {compute.dtype}, {compute.device})"
    )


def show_prediction(console: Console, prediction: Prediction) -> None:
    """Prints a prediction."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    top = max(prediction.counts)
    facts.add_row("votes", f"{top:,} of {prediction.n:,}")
    facts.add_row("noise", f"{prediction.noise.value}, σ = {prediction.sigma:g}")
    facts.add_row("p-value", f"{prediction.p_value:.3g} (abstains above α = {prediction.alpha:g})")
    facts.add_row("unsmoothed", prediction.prediction.name)
    if prediction.correct is not None:
        facts.add_row("correct", "yes" if prediction.correct else "no")
    facts.add_row("computed", _speed(prediction.compute))
    title = "no label: the classifier abstains" if prediction.label is None else prediction.label.name
    style = "yellow" if prediction.abstained else "green"
    console.print(
        Panel(facts, title=f"[bold]{title}[/bold]", border_style=style, width=min(console.width, 96))
    )


def show_models(console: Console, listing: ModelList) -> None:
    """Prints a table of models."""
    table = Table("model", "ready", "input", "classes", "σ", "votes", "measured")
    for model in listing.models:
        name = f"[bold]{model.name}[/bold]" if model.name == listing.default else model.name
        measured = ", ".join(f"{metric.metric} {metric.value:.3f}" for metric in model.metrics)
        table.add_row(
            name,
            "yes" if model.ready else f"no: {model.reason or 'no worker is alive'}",
            "×".join(map(str, model.input_shape)),
            str(len(model.classes)),
            "" if model.sigma is None else f"{model.sigma:g}",
            f"{model.n:,}",
            measured,
        )
    console.print(table)


def show_verification(console: Console, verification: Verification) -> None:
    """Prints what was recomputed."""
    table = Table("check", "", "", title=f"certificate {verification.certificate_id}", title_justify="left")
    for check in verification.checks:
        table.add_row(
            check.name, "[green]holds[/green]" if check.passed else "[red]FAILS[/red]", check.message
        )
    console.print(table)


@contextmanager
def sampling_bar(console: Console) -> Iterator[Callable[[JobProgress], None]]:
    """Shows votes and the radius certified so far while a job runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} votes"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("queued", total=1)

        def update(progress: JobProgress) -> None:
            words = progress.stage.value
            if progress.radius_so_far:
                words = f"certified so far: {floor(progress.radius_so_far)}"
            bar.update(task, description=words, completed=progress.completed, total=progress.total or 1)

        yield update
