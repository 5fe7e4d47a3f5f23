"""The tables of docs/results.md, from committed outcomes: the same outcomes give the same tables.

The page is prose that people write, and tables between marks.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from evaluation.papers.cells import answered, copied, mean, share
from evaluation.papers.claims import Verdict
from evaluation.papers.claims_section import claims, link_to
from evaluation.papers.evaluations import EVALUATIONS
from evaluation.papers.measures import Outcomes
from evaluation.papers.outcomes import executed_by, named_rows
from evaluation.report.contents import EMPTY, Cell, Figure
from evaluation.report.tables import as_markdown

_TABLES: Final = tomllib.loads(Path(__file__).with_name("tables.toml").read_text(encoding="utf-8"))
_MARK: Final = re.compile(r"(<!-- results: ([\w-]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_VOTES: Final = {each.name: each.votes for each in EVALUATIONS}
_ZOO: Final = "fashion-mnist-"  # how the names of all bundles begin
_RADII: Final = tuple(step / 4 for step in range(9))
_SCHEMES: Final = ("as trained", "adapted")


def render(page: str, outcomes: Outcomes) -> str:
    """Return the page with the tables between its marks written anew."""
    return _MARK.sub(lambda found: f"{found[1]}{SECTIONS[found[2]](outcomes)}\n{found[3]}", page)


def zoo(outcomes: Outcomes) -> str:
    """Every base classifier: how it was trained, and what it can do."""
    rows: list[Sequence[Cell]] = []
    for evaluation in EVALUATIONS:
        if evaluation.options.get("suite") != "noise" or evaluation.name not in outcomes:
            continue
        (name,) = evaluation.bundles
        outcome = outcomes[evaluation.name]
        facts = outcome["bundles"][name]
        rows.append(
            (
                f"`{name}`" + ("" if facts["shipped"] else " (not shipped)"),
                facts["recipe"],
                f"`{facts['command']}`",
                facts["epochs"] or EMPTY,
                share(round(facts["clean_accuracy"] * facts["clean_images"]), facts["clean_images"]),
                *(answered(outcome, name, 0.5, scheme) for scheme in _SCHEMES),
                f"{facts['bytes'] / 2**20:.1f} MiB",
            )
        )
    return as_markdown(
        (
            "bundle", "recipe", "trained by", "epochs", "clean accuracy", "at σ = 0.5, as trained",
            "at σ = 0.5, adapted", "size",
        ),
        rows,
    )  # fmt: skip


def certified(kind: str) -> Callable[[Outcomes], str]:
    """Return the section of certified accuracy at growing radii whose rows have this name."""

    def section(outcomes: Outcomes) -> str:
        head = ("classifier", "data", *(f"{radius:g}" for radius in _RADII), "ACR ℓ2", "n", "images")
        rows = [_theirs(row) if "figures" in row else _ours(row, outcomes) for row in _rows(kind, outcomes)]
        return as_markdown((*head, "evaluation"), rows)

    return section


def hybrid(outcomes: Outcomes) -> str:
    """One noise against two."""
    rows: list[Sequence[Cell]] = []
    for row in _rows("hybrid", outcomes):
        if "figures" in row:
            about = (EMPTY, EMPTY, EMPTY, "10000", row["source"])
            rows.append((row["label"], "CIFAR-10", *row["figures"].split(), *about))
            continue
        evaluation = row["evaluation"]
        outcome = outcomes[evaluation]
        found = outcome["certified"][row["run"]]
        images = len(found["index"])
        same: list[Cell] = [EMPTY, EMPTY]
        if "same-class" in outcome["tables"]:
            table = named_rows(outcome, "same-class")
            same = [Figure(line["ACR"], line["from"], line["to"]) for line in table]
        radii = (share(found["right"].count("1"), images), mean(found["l2"]), mean(found["l1"]))
        given, link = _VOTES[evaluation], link_to(evaluation)
        rows.append((row["label"], "Fashion-MNIST", *radii, *same, given, images, link))
    head = ("certified with", "data", "clean", "ACR ℓ2", "ACR ℓ1", "same class, ℓ2", "same class, ℓ1")
    return as_markdown((*head, "n", "images", "evaluation"), rows)


def noise(outcomes: Outcomes) -> str:
    """Accuracy under Gaussian noise."""
    rows: list[Sequence[Cell]] = []
    sigmas = (0.0, 0.25, 0.5, 0.75)
    for short, theirs in _TABLES["noise"].items():
        evaluation, name = f"noise-{short}", _ZOO + short
        for scheme in _SCHEMES if evaluation in outcomes else ():
            found = outcomes[evaluation]
            figures = [answered(found, name, sigma, scheme) for sigma in sigmas]
            images = named_rows(found, "noise")[0]["images"]
            rows.append((f"{short}, {scheme}", "Fashion-MNIST", *figures, images, link_to(evaluation)))
        rows += [
            (label, "CIFAR-10", *figures.split(), EMPTY, "CTA Table 2b") for label, figures in theirs.items()
        ]
    head = ("classifier", "data", *(f"σ = {sigma:g}" for sigma in sigmas), "images", "evaluation")
    return as_markdown(head, rows)


def gradients(outcomes: Outcomes) -> str:
    """A picture."""
    if "gradients-adv-l2" not in outcomes:
        return f"Pictures: {Verdict.MISSING}."
    name = f"{_ZOO}adv-l2"
    return f"![Loss gradients of {name}](results/gradients-adv-l2/gradients-{name}.png)"


def evaluations(outcomes: Outcomes) -> str:
    """Every evaluation: its command, what for, how much, how long."""
    return as_markdown(
        ("name", "command", "what for", "n", "images", "minutes", "executed by"),
        [
            (
                each.name,
                f"`{each.command} --out FOLDER`",
                each.purpose,
                each.votes,
                each.options.get("images", "100"),
                each.minutes,
                executed_by(outcomes[each.name]) if each.name in outcomes else Verdict.MISSING,
            )
            for each in EVALUATIONS
        ],
    )


SECTIONS: Final[Mapping[str, Callable[[Outcomes], str]]] = {
    "zoo": zoo, "claims": claims, "fixed": certified("fixed"), "auto": certified("auto"),
    "data-dependent": certified("optimize"), "hybrid": hybrid, "noise": noise, "gradients": gradients,
    "evaluations": evaluations,
    **{name: partial(copied, tables=tables) for name, tables in _TABLES["copied"].items()},
}  # fmt: skip
"""What may stand between marks, by name."""


def _rows(name: str, outcomes: Outcomes) -> list[Mapping[str, str]]:
    """The papers' rows, and ours that are measured: the list of evaluations says what is not."""
    return [row for row in _TABLES[name] if "figures" in row or row["evaluation"] in outcomes]


def _ours(row: Mapping[str, str], outcomes: Outcomes) -> list[Cell]:
    evaluation = row["evaluation"]
    found = outcomes[evaluation]["certified"][row["run"]]
    images = len(found["index"])
    answers = list(zip(found["right"], found["l2"], strict=True))
    shares = [share(sum(right == "1" and value >= r for right, value in answers), images) for r in _RADII]
    given, link = _VOTES[evaluation], link_to(evaluation)
    return [row["label"], "Fashion-MNIST", *shares, mean(found["l2"]), given, images, link]


def _theirs(row: Mapping[str, str]) -> list[Cell]:
    figures = [f"{float(figure):.1f}" for figure in row["figures"].split()]
    about = (row.get("acr", EMPTY), row.get("n", "100000"), row.get("images", "10000"))
    return [row["label"], "CIFAR-10", *figures, *about, row["source"]]
