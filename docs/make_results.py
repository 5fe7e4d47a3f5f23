"""Measures what docs/results.md tells, and writes its tables.

``python docs/make_results.py [NAME ...]`` (or ``make results``, ``make results ONLY="NAME NAME"``) runs the
evaluations of ``docs/results_evaluations.py``, or the named ones, each into ``docs/results/NAME/``, and skips
those whose outcome is there: of the same plan, of bundles with the same digests. An interrupted evaluation
goes on where it was. Bundles are the shipped ones and those in ``RADII_MODELS``; what needs another is left
for later. ``page`` measures nothing and only writes the page.

Of each evaluation ``outcome.json`` is committed, ``results.json`` trimmed by ``results_outcomes.trim``, and
its pictures of gradients; the journal, CSV and HTML are not (``docs/results/.gitignore``), so that the folder
stays below 3 MB.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from evaluation.journal import set_aside  # noqa: E402
from evaluation.papers.evaluations import EVALUATIONS, Evaluation  # noqa: E402 (the script runs from anywhere)
from evaluation.papers.outcomes import Outcomes, trim  # noqa: E402
from evaluation.papers.page import render  # noqa: E402
from evaluation.plan import EvaluationPlan  # noqa: E402
from models.bundles import ZOO, BundleError, find_bundles, read_card  # noqa: E402
from radii.commands.evaluate import plan_of  # noqa: E402
from workers.settings import WorkerSettings  # noqa: E402

PAGE: Final = ROOT / "docs" / "results.md"
FOLDER: Final = ROOT / "docs" / "results"
_OUTCOME: Final = "outcome.json"


def read_outcomes(folder: Path = FOLDER) -> dict[str, Any]:
    """Return all outcomes that are there, by the name of their evaluation."""
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(f"*/{_OUTCOME}"))
    }


def up_to_date(evaluation: Evaluation, plan: EvaluationPlan, outcomes: Outcomes) -> bool:
    """Say whether an outcome is there, of this very plan; the digests of its bundles are in the plan."""
    found = outcomes.get(evaluation.name)
    return found is not None and EvaluationPlan.model_validate(found["plan"]) == plan


def stale(outcomes: Outcomes) -> list[str]:
    """Return evaluations whose outcome is of another plan, or of a bundle that has changed since.

    Of an outcome whose bundle is not here, that cannot be said.
    """
    found = []
    for evaluation in EVALUATIONS:
        try:
            plan = plan_of(evaluation.arguments.split())
        except BundleError:
            continue
        if evaluation.name in outcomes and not up_to_date(evaluation, plan, outcomes):
            found.append(evaluation.name)
    return found


def as_text(outcome: Mapping[str, Any]) -> str:
    """Return an outcome as JSON, one table or run to a line, so that changes can be read.

    >>> print(as_text({"command": "c", "tables": {"a": [1], "b": [2]}}), end="")
    {"command":"c",
    "tables":{
    "a":[1],
    "b":[2]}}
    """
    parts = []
    for name, value in outcome.items():
        shown = _compact(value)
        if name in ("tables", "certified"):
            inner = ",\n".join(f"{_compact(key)}:{_compact(each)}" for key, each in value.items())
            shown = f"{{\n{inner}}}"
        parts.append(f"{_compact(name)}:{shown}")
    return "{" + ",\n".join(parts) + "}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def facts_of(name: str, folder: Path) -> dict[str, Any]:
    """Return what the page tells of a bundle, from its card."""
    card = read_card(folder)
    epochs = re.search(r"--epochs (\d+)", card.command or "")
    clean = [metric for metric in card.metrics if metric.metric == "clean_accuracy"]
    return {
        "recipe": card.recipe,
        "command": card.command,
        "epochs": int(epochs[1]) if epochs else None,
        "clean_accuracy": clean[0].value if clean else None,
        "clean_images": clean[0].n if clean else None,
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "shipped": folder.resolve() == (ZOO / name).resolve(),
    }


def measure(evaluation: Evaluation, outcomes: Outcomes) -> bool | None:
    """Run one evaluation unless its outcome is there; return whether it is now, None where it cannot run."""
    try:
        plan = plan_of(evaluation.arguments.split())
    except BundleError as error:
        typer.echo(f"{evaluation.name}: left for later, {error}")
        return None
    if up_to_date(evaluation, plan, outcomes):
        typer.echo(f"{evaluation.name}: up to date")
        return True
    typer.echo(f"{evaluation.name}: about {evaluation.minutes} minutes on two cores")
    folder = FOLDER / evaluation.name
    earlier = set_aside(folder, plan)
    if earlier is not None:
        typer.echo(f"{evaluation.name}: begun under another plan, measured anew; {earlier.name} is set aside")
    words = [sys.executable, "-m", "radii", "evaluate", *evaluation.arguments.split(), "--out", str(folder)]
    if subprocess.run(words, cwd=ROOT).returncode != 0:
        return False
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    known = find_bundles(WorkerSettings().models)
    facts = {name: facts_of(name, known[name]) for name in results["plan"]["bundles"]}
    (folder / _OUTCOME).write_text(as_text(trim(results, facts)), encoding="utf-8")
    return True


def main(names: Sequence[str]) -> int:
    """Measure what is asked for and write the page; return 1 if an evaluation failed."""
    known = {evaluation.name: evaluation for evaluation in EVALUATIONS}
    unknown = [name for name in names if name not in known and name != "page"]
    if unknown:
        typer.echo(f"'name' must be page or one of {', '.join(known)}, got {', '.join(unknown)}", err=True)
        return 2
    wanted = [known[name] for name in names if name != "page"] if names else list(EVALUATIONS)
    failed = [evaluation.name for evaluation in wanted if measure(evaluation, read_outcomes()) is False]
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), read_outcomes()), encoding="utf-8")
    if failed:
        typer.echo(f"failed: {', '.join(failed)}", err=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
