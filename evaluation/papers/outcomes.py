"""What is committed of an evaluation, and how it is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from evaluation.papers.measures import Outcome, Outcomes

OUTCOME: Final = "outcome.json"
_DROPPED: Final = ("records", "intervals-", "p-lower-", "envelope-", "equal-accuracy-")


def read_outcomes(folder: Path) -> Outcomes:
    """Return all outcomes that are in a folder, by the name of their evaluation."""
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(f"*/{OUTCOME}"))
    }


def named_rows(outcome: Outcome, table: str, **wanted: Any) -> list[dict[str, Any]]:
    """Return rows of a table by column, those that have the wanted values."""
    found = outcome["tables"][table]
    rows = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def executed_by(outcome: Outcome) -> str:
    """Return what executed the classifiers; where no votes are counted that is PyTorch, in float32."""
    found = [
        row["executed by"]
        for name, table in outcome["tables"].items()
        if "executed by" in table.get("columns", ())
        for row in named_rows(outcome, name)
    ]
    return "; ".join(dict.fromkeys(found)) or "PyTorch float32"


def trim(results: Outcome, bundles: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is committed of ``results.json``.

    Of certificates, "records" has eighteen columns in words for each image; the index, whether the answer is
    right, and the two radii are what comparisons need, and are kept by column. Tables that follow from
    them, and that the page does not show, are omitted. All else stays as it was written.

    Args:
        results: As ``radii evaluate`` wrote them.
        bundles: Facts about each bundle, by name.
    """
    tables = {name: table for name, table in results["tables"].items() if not name.startswith(_DROPPED)}
    kept = {
        "command": results["command"],
        "plan": results["plan"],
        "bundles": dict(bundles),
        "tables": tables,
    }
    if "records" in results["tables"]:
        kept["certified"] = _by_column(results)
    return kept


def as_text(outcome: Outcome) -> str:
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


def _by_column(results: Outcome) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in named_rows(results, "records"):
        run = found.setdefault(row["run"], {"index": [], "right": "", "l2": [], "l1": []})
        run["index"].append(row["index"])
        run["right"] += str(row["correct"])
        for norm in ("l2", "l1"):
            run[norm].append(row[f"radius {norm}"] if row["correct"] else 0.0)
    return found


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
