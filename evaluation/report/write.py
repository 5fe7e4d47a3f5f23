"""Writing an evaluation's outcome: CSV per table, one JSON, one HTML page that needs nothing else.

All files but ``timings.csv`` and the page are functions of the plan and the measurements: the same evaluation
writes the same bytes, however often it was interrupted, on one process or many workers.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from evaluation.plan import EvaluationPlan
from evaluation.report.contents import Outcome
from evaluation.report.page import page
from evaluation.report.tables import as_csv


def write_report(
    folder: Path, plan: EvaluationPlan, outcomes: Mapping[str, Outcome], command: str
) -> list[Path]:
    """Write ``<table>.csv``, ``<picture>.png``, ``results.json`` and ``report.html``; return their paths.

    The JSON has plan, command and all tables but those of time.

    Args:
        folder: Where to; it exists.
        plan: What was evaluated.
        outcomes: By suite.
        command: That made it, for the page and the JSON.
    """
    written: list[Path] = []
    for outcome in outcomes.values():
        tables = (*outcome.tables, *outcome.details, *outcome.timings)
        written += [_write(folder / f"{table.name}.csv", as_csv(table).encode()) for table in tables]
        written += [_write(folder / f"{picture.name}.png", picture.png) for picture in outcome.pictures]
    content = {
        "command": command,
        "plan": plan.model_dump(mode="json"),
        "tables": {
            table.name: {
                "suite": suite,
                "title": table.title,
                "note": table.note,
                "columns": table.columns,
                "rows": table.rows,
            }
            for suite, outcome in outcomes.items()
            for table in (*outcome.tables, *outcome.details)
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    written.append(_write(folder / "results.json", text.encode()))
    written.append(_write(folder / "report.html", page(plan, outcomes, command).encode()))
    return written


def _write(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(content)
    return temporary.replace(path)
