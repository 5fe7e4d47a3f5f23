"""Tables: models, and the checks of a certificate."""

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contract.certificates import Verification
from contract.models import ModelInfo, ModelList

_ACCURACIES: Final = ("clean_accuracy", "noisy_accuracy", "noisy_accuracy_adapted")


def show_models(console: Console, listing: ModelList) -> None:
    """Prints a table of models with the accuracies on their cards."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    longest = max((len(model.name) for model in listing.models), default=0)
    # People copy names: they are never cut short, and folded only if very long.
    table.add_column("model", overflow="fold", min_width=min(longest, 28))
    for head in ("ready", "input", "σ", "clean", "in noise", "adapted"):
        table.add_column(head, overflow="fold")
    for model in listing.models:
        table.add_row(
            Text(model.name, "bold" if model.name == listing.default else ""),
            "yes" if model.ready else "no",
            "×".join(map(str, model.input_shape)),
            "" if model.sigma is None else f"{model.sigma:g}",
            *(_accuracy(model, name) for name in _ACCURACIES),
        )
    console.print(table)
    for model in listing.models:
        if not model.ready:
            console.print(Text(f"  {model.name} is not ready: {model.reason or 'no worker is alive'}"))


def _accuracy(model: ModelInfo, name: str) -> str:
    """One of a model's accuracies in per cent, with its noise level if that is not the recommended one."""
    found = next((metric for metric in model.metrics if metric.metric == name), None)
    if found is None:
        return ""
    level = "" if found.sigma in (None, model.sigma) else f" at {found.sigma:g}"
    return f"{found.value:.1%}{level}"


def show_verification(console: Console, verification: Verification) -> None:
    """Prints the checks of a certificate, those that fail first, and the verdict."""
    table = Table("check", "result", "what was compared")
    for check in sorted(verification.checks, key=lambda check: check.passed):
        result = "[green]holds[/green]" if check.passed else "[red]FAILS[/red]"
        table.add_row(check.name, result, Text(check.message))
    failing = ", ".join(check.name for check in verification.checks if not check.passed)
    verdict = f"[red]not valid[/red]: {failing}" if failing else "[green]valid[/green]: every check holds"
    console.print(table, f"certificate {verification.certificate_id} is {verdict}", highlight=False)
