"""Measures what docs/results.md reports, and writes its tables.

``python -m evaluation.papers [NAME ...]`` (or ``make results``, ``make results ONLY="NAME NAME"``) runs the
evaluations of ``evaluations.toml``, or the named ones, each into ``docs/results/NAME/``. It skips those whose
outcome is there, of the same plan and bundles with the same digests. An interrupted evaluation goes on where
it was. Bundles are the shipped ones and those in ``RADII_MODELS``; an evaluation whose bundle is missing is
skipped. ``page`` measures nothing and only writes the page.

Of each evaluation ``outcome.json`` is committed, ``results.json`` trimmed by ``outcomes.trim``, and its
pictures of gradients; the journal, CSV and HTML are not (``docs/results/.gitignore``), so that the folder
stays below 3 MB.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from contract.settings import ExecutionSettings
from evaluation.bundles import chosen_bundles
from evaluation.journal import set_aside
from evaluation.options import plan_from
from evaluation.papers.evaluations import EVALUATIONS, Evaluation
from evaluation.papers.measures import Outcomes
from evaluation.papers.outcomes import OUTCOME, as_text, read_outcomes, trim
from evaluation.papers.sections import render
from evaluation.plan import EvaluationPlan
from models.bundles import ZOO, BundleError, read_card

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "results.md"
FOLDER: Final = ROOT / "docs" / "results"


def plan_of(evaluation: Evaluation) -> EvaluationPlan:
    """Return the plan of an evaluation.

    Raises:
        BundleError: A bundle is not there.
    """
    _, digests = chosen_bundles(evaluation.bundles, ExecutionSettings().models)
    return plan_from(digests, {name.replace("-", "_"): value for name, value in evaluation.options.items()})


def up_to_date(evaluation: Evaluation, plan: EvaluationPlan, outcomes: Outcomes) -> bool:
    """Say whether an outcome is there, of this very plan; the digests of its bundles are in the plan."""
    found = outcomes.get(evaluation.name)
    return found is not None and EvaluationPlan.model_validate(found["plan"]) == plan


def facts_of(name: str, folder: Path) -> dict[str, Any]:
    """Return what the page says of a bundle, from its card."""
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


def measure(
    evaluation: Evaluation,
    outcomes: Outcomes,
    console: Console,
    *,
    into: Path = FOLDER,
    more: Sequence[str] = (),
) -> bool | None:
    """Run one evaluation unless its outcome is there; return whether it is now, None where it cannot run.

    Args:
        evaluation: Which.
        outcomes: Those that are there.
        console: Where it says what it does.
        into: Where the evaluations have their folders.
        more: Further words of the command.
    """
    try:
        plan = plan_of(evaluation)
    except BundleError as error:
        console.print(f"{evaluation.name}: skipped, {error}")
        return None
    if up_to_date(evaluation, plan, outcomes):
        console.print(f"{evaluation.name}: up to date")
        return True
    console.print(f"{evaluation.name}: about {evaluation.minutes} minutes on two cores")
    folder = into / evaluation.name
    earlier = set_aside(folder, plan)
    if earlier is not None:
        console.print(
            f"{evaluation.name}: begun under another plan, measured anew; {earlier.name} is set aside"
        )
    _, *words = shlex.split(evaluation.command)
    command = [sys.executable, "-m", "radii", *words, *more, "--out", str(folder)]
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        return False
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results["command"] = f"{evaluation.command} --out FOLDER"
    folders, _ = chosen_bundles(evaluation.bundles, ExecutionSettings().models)
    facts = {name: facts_of(name, folders[name]) for name in plan.bundles}
    (folder / OUTCOME).write_text(as_text(trim(results, facts)), encoding="utf-8")
    return True


def main(names: Sequence[str]) -> int:
    """Measure what is asked for and write the page; return 1 if an evaluation failed."""
    console = Console(stderr=True, soft_wrap=True)
    known = {evaluation.name: evaluation for evaluation in EVALUATIONS}
    unknown = [name for name in names if name not in known and name != "page"]
    if unknown:
        console.print(f"'name' must be page or one of {', '.join(known)}, got {', '.join(unknown)}")
        return 2
    wanted = [known[name] for name in names if name != "page"] if names else EVALUATIONS
    failed = [each.name for each in wanted if measure(each, read_outcomes(FOLDER), console) is False]
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), read_outcomes(FOLDER)), encoding="utf-8")
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
