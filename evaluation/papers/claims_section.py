"""Every claim with its verdict, then what there is to say about it: a section of docs/results.md."""

from collections.abc import Iterator, Sequence

from evaluation.papers.claims import CLAIMS, Claim, Verdict
from evaluation.papers.comparisons import Difference
from evaluation.papers.measures import Outcome, Outcomes
from evaluation.papers.outcomes import executed_by
from evaluation.report.contents import EMPTY, Cell
from evaluation.report.tables import as_markdown

_COLUMNS = (
    "name", "claim", "in the paper", "here", "difference, 95 % interval", "images", "verdict", "evaluations",
)  # fmt: skip


def claims(outcomes: Outcomes) -> str:
    """Return the section."""
    judged = [(claim, *claim.judge(outcomes)) for claim in CLAIMS]
    names = {each: [claim.name for claim, _, found in judged if found is each] for each in Verdict}
    summary = "\n".join(
        f"- **{each.value}**, {len(found)}: {', '.join(found)}." for each, found in names.items() if found
    )
    shown = as_markdown(_COLUMNS, [_row(*one) for one in judged])
    remarks = _remarks([(claim, found) for claim, _, found in judged], outcomes)
    return "\n".join(
        (f"{len(CLAIMS)} claims, by what the measurements say:", "", summary, "", shown, "", *remarks)
    )


def link_to(evaluation: str) -> str:
    """Return a link to the list of evaluations."""
    return f"[{evaluation}](#evaluations)"


def _row(claim: Claim, found: Difference | None, verdict: Verdict) -> tuple[Cell, ...]:
    figures, interval = EMPTY, EMPTY
    if found is not None:
        scale, digits, unit = (100, 1, " %") if claim.unit == "%" else (1, 4, f" {claim.unit}")
        figures = f"{found.first * scale:.{digits}f} to {found.second * scale:.{digits}f}{unit}"
        ends = (found.low * scale, found.high * scale)
        low, high = (f"{end:+.{digits}f}".replace("inf", "∞") for end in ends)
        interval = f"{found.difference * scale:+.{digits}f} [{low}, {high}]"
    links = " ".join(map(link_to, claim.comparison.evaluations))
    images = None if found is None else found.images
    return (claim.name, claim.says, claim.paper, figures, interval, images, f"**{verdict.value}**", links)


def _remarks(judged: Sequence[tuple[Claim, Verdict]], outcomes: Outcomes) -> Iterator[str]:
    """What there is to say about claims; the same words are said once."""
    said: dict[str, list[str]] = {}
    for claim, found in judged:
        why = claim.why.get(found, "")
        if found is Verdict.DOES_NOT_HOLD and not why:
            why = "We have no explanation."
        measured = [outcomes[name] for name in claim.comparison.evaluations if name in outcomes]
        parts = (why, claim.apart, _trained_unlike(measured), _executed_unlike(measured))
        words = " ".join(part for part in parts if part)
        if words:
            said.setdefault(words, []).append(claim.name)
    yield from (f"- **{', '.join(names)}**: {words}" for words, names in said.items())


def _trained_unlike(measured: Sequence[Outcome]) -> str:
    """Give the epochs where classifiers that are compared were trained for different numbers of them."""
    facts = {name: found for outcome in measured for name, found in outcome["bundles"].items()}
    epochs = {name.removeprefix("fashion-mnist-"): found["epochs"] for name, found in facts.items()}
    if len(measured) < 2 or len(set(epochs.values())) < 2:
        return ""
    return f"Epochs: {', '.join(f'{name} {count}' for name, count in epochs.items())}."


def _executed_unlike(measured: Sequence[Outcome]) -> str:
    """Give the arithmetics where they differ."""
    kinds = list(dict.fromkeys(map(executed_by, measured)))
    return f"Executed by {' and '.join(kinds)}." if len(kinds) > 1 else ""
