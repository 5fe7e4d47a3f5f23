"""What the papers claim, and the verdict on it here. The claims are in ``claims.toml``."""

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter

from evaluation.papers.comparisons import Comparison, Difference
from evaluation.papers.measures import Entry, Outcomes


class Verdict(StrEnum):
    """What the measurements say about a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    UNDECIDED = "not decided"
    MISSING = "not measured yet"


class Claim(Entry):
    """One claim of a paper.

    Attributes:
        name: Short, for remarks.
        says: The claim.
        paper: The paper's figures and where they are from; the first is of what is claimed to be better.
        unit: Of our figures; ``%`` where they are parts of the images.
        rule: What the claim says of our difference. ``more``: it is above 0. ``less``: below 0. ``no_less``:
            above −margin.
        margin: What is too little to matter.
        comparison: Our figures.
        apart: Where our set-up differs from the paper's in more than data, network and votes.
        why: Why we think so, by verdict: said only while the verdict is that one.
    """

    name: str
    says: str
    paper: str
    unit: str
    rule: Literal["more", "less", "no_less"]
    margin: float = 0.0
    comparison: Annotated[Comparison, Field(union_mode="left_to_right")]
    apart: str = ""
    why: Mapping[Verdict, str] = {}

    def judge(self, outcomes: Outcomes) -> tuple[Difference | None, Verdict]:
        """Compare what was measured, and return the verdict."""
        if not all(name in outcomes for name in self.comparison.evaluations):
            return None, Verdict.MISSING
        difference = self.comparison.compare(outcomes)
        return difference, self.verdict(difference)

    def verdict(self, difference: Difference | None) -> Verdict:
        """Return whether the whole interval agrees with the claim, or none of it, or some of it."""
        if difference is None:
            return Verdict.UNDECIDED
        least, most = {"more": (0.0, inf), "less": (-inf, 0.0), "no_less": (-self.margin, inf)}[self.rule]
        if least < difference.low and difference.high < most:
            return Verdict.HOLDS
        if difference.high < least or difference.low > most:
            return Verdict.DOES_NOT_HOLD
        return Verdict.UNDECIDED


def _read() -> tuple[Claim, ...]:
    content = tomllib.loads(Path(__file__).with_name("claims.toml").read_text(encoding="utf-8"))
    remarks: dict[str, str] = content["remarks"]

    def filled(value: Any) -> Any:
        """Put the shared remarks in place of their names in braces."""
        if isinstance(value, str):
            return re.sub(r"{([a-z0-9-]+)}", lambda found: filled(remarks[found[1]]), value)
        return {key: filled(each) for key, each in value.items()} if isinstance(value, dict) else value

    return TypeAdapter(tuple[Claim, ...]).validate_python([filled(claim) for claim in content["claims"]])


CLAIMS: Final = _read()
