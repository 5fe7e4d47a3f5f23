"""What is committed of an evaluation, and what its runs are called."""

from collections.abc import Mapping
from typing import Any, Final

Outcome = Mapping[str, Any]
Outcomes = Mapping[str, Outcome]
"""Trimmed outcomes by the name of their evaluation; what is not there has not been measured."""

_DROPPED: Final = ("records", "intervals-", "p-lower-", "envelope-", "equal-accuracy-")


def trim(results: Outcome, bundles: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is committed of ``results.json``.

    Of certificates, "records" has eighteen columns in words for each image; the index, whether the answer is
    right, and the two radii are what comparisons need, and are kept by column. Tables that follow from
    them, and that the page does not show, are left out. All else stays as it was written.

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
        kept["certified"] = _by_column(results["tables"]["records"])
    return kept


def _by_column(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in table["rows"]:
        named = dict(zip(table["columns"], row, strict=True))
        run = found.setdefault(named["run"], {"index": [], "right": "", "l2": [], "l1": []})
        run["index"].append(named["index"])
        run["right"] += str(named["correct"])
        for norm in ("l2", "l1"):
            run[norm].append(named[f"radius {norm}"] if named["correct"] else 0.0)
    return found


def run_name(
    bundle: str,
    *,
    noise: str = "gaussian",
    policy: str | None = None,
    adapted: bool = False,
    sigma: float = 0.5,
) -> str:
    """Return what the tables of certificates call a run; ``policy`` where the level is chosen per image.

    >>> run_name("gaussian", sigma=0.6), run_name("adv-l2", policy="auto", adapted=True)
    ('gaussian, gaussian, as trained, σ = 0.6', 'adv-l2, gaussian, auto, adapted')
    """
    words = [bundle, noise, *([policy] if policy else []), "adapted" if adapted else "as trained"]
    return ", ".join(words) + ("" if policy else f", σ = {sigma:g}")
