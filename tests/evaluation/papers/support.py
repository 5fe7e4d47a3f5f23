"""Hand-made outcomes and claims."""

from collections.abc import Mapping
from typing import Any

from evaluation.papers.claims import Claim


def certified(radii: Mapping[int, float], *, accuracy: str | None = None) -> dict[str, Any]:
    """One run as it is kept; images with a radius are right unless it is said which are."""
    values = list(radii.values())
    digits = accuracy or "".join("1" if value > 0 else "0" for value in values)
    return {"index": list(radii), "right": digits, "l2": values, "l1": values}


def outcome(**runs: dict[str, Any]) -> dict[str, Any]:
    return {"plan": {"every": 40}, "bundles": {}, "tables": {}, "certified": runs}


def claim_of(rule: str, margin: float = 0.0) -> Claim:
    """A claim about two runs."""
    pair = {"first": {"evaluation": "a", "run": "x"}, "second": {"evaluation": "b", "run": "y"}}
    about = {"name": "", "says": "", "paper": "", "unit": ""}
    return Claim.model_validate({**about, "rule": rule, "margin": margin, "comparison": pair})
