"""The tables of docs/results.md, from committed outcomes: the same outcomes give the same page."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from evaluation.papers.claims import CLAIMS, Claim
from evaluation.papers.comparisons import Difference, Verdict, verdict
from evaluation.papers.evaluations import EVALUATIONS, ZOO_ORDER, bundle
from evaluation.papers.markdown import (
    EMPTY,
    MISSING,
    Columns,
    Ranged,
    Share,
    as_figure,
    as_mean,
    as_share,
    as_table,
    copied_table,
    link_to,
    named_rows,
    option_of,
    votes_of,
)
from evaluation.papers.outcomes import Outcome, Outcomes, run_name
from evaluation.papers.rows import AUTO, FIXED, OPTIMIZE, Ours, Theirs

_MARK: Final = re.compile(r"(<!-- results: ([\w-]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_RADII: Final = tuple(step / 4 for step in range(9))
_SCHEMES: Final = ("as trained", "adapted")


def render(page: str, outcomes: Outcomes) -> str:
    """Return the page with what stands between its marks written anew."""

    def written(found: re.Match[str]) -> str:
        return f"{found[1]}{SECTIONS[found[2]](outcomes)}\n{found[3]}"

    return _MARK.sub(written, page)


def marks(page: str) -> list[str]:
    """Return the names of the marks in a page."""
    return [found[2] for found in _MARK.finditer(page)]


def zoo(outcomes: Outcomes) -> str:
    """Every base classifier: how it was trained, and what it can do."""
    rows = []
    for short in ZOO_ORDER:
        name, evaluation = bundle(short), f"noise-{short}"
        if evaluation not in outcomes:
            rows.append((f"`{name}`", MISSING, *[EMPTY] * 6))
            continue
        facts = outcomes[evaluation]["bundles"][name]
        rows.append(
            (
                f"`{name}`" + ("" if facts["shipped"] else " (not shipped)"),
                facts["recipe"],
                f"`{facts['command']}`",
                str(facts["epochs"] or EMPTY),
                as_share(round(facts["clean_accuracy"] * facts["clean_images"]), facts["clean_images"]),
                *(_answered(outcomes[evaluation], name, 0.5, scheme) for scheme in _SCHEMES),
                f"{facts['bytes'] / 2**20:.1f} MiB",
            )
        )
    return as_table(
        (
            "bundle", "recipe", "trained by", "epochs", "clean accuracy", "at σ = 0.5, as trained",
            "at σ = 0.5, adapted", "size",
        ),
        rows,
    )  # fmt: skip


def fixed(outcomes: Outcomes) -> str:
    """Certified accuracy at σ = 0.5."""
    return _certified(outcomes, FIXED)


def auto(outcomes: Outcomes) -> str:
    """Certified accuracy with Auto-Noise."""
    return _certified(outcomes, AUTO)


def data_dependent(outcomes: Outcomes) -> str:
    """Certified accuracy with OptimizeSigma."""
    return _certified(outcomes, OPTIMIZE)


def levels(outcomes: Outcomes) -> str:
    """Radii over the steps of OptimizeSigma."""
    columns: Columns = {
        "K": "K",
        "mean σ": "mean sigma",
        "accuracy": Share("accuracy"),
        "ACR ℓ2": Ranged("ACR ℓ2", "from", "to"),
        "images": "images",
    }
    return copied_table(outcomes, ("levels-gaussian",), "levels", columns)


def hybrid(outcomes: Outcomes) -> str:
    """One noise against two."""
    name = bundle("normal-uniform")
    one, both = "Gaussian, σ = 0.6", "Gaussian, σ = 0.6, and uniform, σ = 0.65"
    rows: list[tuple[str, ...]] = []
    for label, evaluation, run in (
        (one, "certify-normal-uniform", run_name(name, sigma=0.6)),
        (both, "hybrid-normal-uniform", run_name(name, noise="hybrid", sigma=0.6)),
    ):
        votes, link = votes_of(evaluation), link_to(evaluation)
        if evaluation not in outcomes:
            rows.append((label, MISSING, *[EMPTY] * 5, votes, EMPTY, link))
            continue
        found = outcomes[evaluation]["certified"][run]
        images = len(found["index"])
        same = [EMPTY, EMPTY]
        if label == both:
            table = named_rows(outcomes[evaluation], "same-class")
            same = [as_figure(row["ACR"], row["from"], row["to"]) for row in table]
        share = as_share(found["right"].count("1"), images)
        figures = (as_mean(found["l2"]), as_mean(found["l1"]), *same)
        rows.append((label, "Fashion-MNIST", share, *figures, votes, str(images), link))
    theirs = (EMPTY, EMPTY, EMPTY, "10000", "MPB Table 2")
    rows.insert(1, (one, "CIFAR-10", "59.3", "0.742", "0.742", *theirs))
    rows.append((both, "CIFAR-10", "60.3", "0.742", "0.783", *theirs))
    head = ("certified with", "data", "clean", "ACR ℓ2", "ACR ℓ1", "same class, ℓ2", "same class, ℓ1")
    return as_table((*head, "n", "images", "evaluation"), rows)


def bounds(outcomes: Outcomes) -> str:
    """Radii by bound, from the same votes."""
    columns: Columns = {
        "run": "run",
        "bound": "bound",
        "ACR ℓ2": Ranged("ACR ℓ2", "from", "to"),
        "more than `one_sided`": Ranged("more than one_sided", "more from", "more to"),
        "larger on": "larger on",
        "smaller on": "smaller on",
        "r ≥ 0.5": Share("0.5"),
        "r ≥ 1": Share("1"),
        "images": "images",
    }
    return copied_table(outcomes, ("bounds-gaussian", "bounds-adv-l2"), "bounds", columns, digits=4)


def noise(outcomes: Outcomes) -> str:
    """Accuracy under Gaussian noise."""
    rows: list[tuple[str, ...]] = []
    sigmas = (0.0, 0.25, 0.5, 0.75)
    for short in ("standard", "adv-linf", "adv-l2", "gaussian"):
        evaluation, name = f"noise-{short}", bundle(short)
        for scheme in _SCHEMES:
            label = f"{short}, {scheme}"
            if evaluation not in outcomes:
                rows.append((label, MISSING, *[EMPTY] * (len(sigmas) + 1), link_to(evaluation)))
                continue
            found = outcomes[evaluation]
            figures = [_answered(found, name, sigma, scheme) for sigma in sigmas]
            images = str(named_rows(found, "noise")[0]["images"])
            rows.append((label, "Fashion-MNIST", *figures, images, link_to(evaluation)))
        rows += [
            (label, "CIFAR-10", *figures.split(), EMPTY, "CTA Table 2b")
            for label, figures in _NOISE_THEIRS.get(short, {}).items()
        ]
    head = ("classifier", "data", *(f"σ = {sigma:g}" for sigma in sigmas), "images", "evaluation")
    return as_table(head, rows)


_NOISE_THEIRS: Final[Mapping[str, Mapping[str, str]]] = {
    "standard": {"Baseline": "95.2 10.9 10.6 10.5", "Baseline, adapted": "95.0 40.1 22.0 17.2"},
    "adv-linf": {"Adv∞, ε = 8/255": "82.1 40.2 16.1 12.2", "Adv∞, adapted": "81.6 74.2 62.4 51.0"},
    "adv-l2": {"Adv₂, ε = 1": "81.6 47.5 21.5 14.3", "Adv₂, adapted": "81.8 75.8 64.9 53.5"},
}


def _answered(outcome: Outcome, name: str, sigma: float, scheme: str) -> str:
    """Accuracy under noise; without noise there is nothing to adapt to."""
    wanted = {"bundle": name, "sigma": sigma, "scheme": scheme}
    for row in named_rows(outcome, "noise-images", **wanted):
        return as_share(row["right"].count("1"), len(row["right"]))
    return EMPTY


def sweeps(outcomes: Outcomes) -> str:
    """What adaptation owes to its parameters."""
    parts = []
    for column, title in (
        ("momentum", "ρ"),
        ("clean_size", "clean images"),
        ("source", "clean images from the split"),
    ):
        table = f"noise-{column.replace('_', '-')}"
        columns: Columns = {
            title: column,
            "draws": "draws",
            "accuracy": Ranged("accuracy", "from", "to", percent=True),
            "deviation": Ranged("standard deviation", percent=True),
        }
        parts.append(copied_table(outcomes, ("noise-adv-l2",), table, columns))
    return "\n\n".join(parts)


def attacks(outcomes: Outcomes) -> str:
    """Accuracy under attacks."""
    parts = []
    for norm, epsilons in (("l2", ("0.5", "1", "1.5")), ("linf", ("0.0314", "0.1"))):
        columns: Columns = {
            "bundle": "bundle",
            "attack": "attack",
            "no attack": Share("0"),
            **{f"{'ℓ2' if norm == 'l2' else 'ℓ∞'} {epsilon}": Share(epsilon) for epsilon in epsilons},
            "images": "images",
        }
        names = ("attacks-adv-l2", "attacks-adv-linf")
        parts.append(copied_table(outcomes, names, f"attacks-{norm}", columns))
    return "\n\n".join(parts)


def corruptions(outcomes: Outcomes) -> str:
    """Errors under corruptions."""
    columns: Columns = {
        "classifier": "classifier",
        "clean error": Share("clean error"),
        "mean error": Ranged("mean error", "error from", "error to", percent=True),
        "mCE": Ranged("mCE", "mCE from", "mCE to", percent=True),
        "relative mCE": Ranged("relative mCE", "relative mCE from", "relative mCE to", percent=True),
        "images": "images",
    }
    return copied_table(outcomes, ("corruptions",), "corruptions", columns)


def gradients(outcomes: Outcomes) -> str:
    """A picture."""
    if "gradients-adv-l2" not in outcomes:
        return f"Pictures: {MISSING}."
    name = bundle("adv-l2")
    return f"![Loss gradients of {name}](results/gradients-adv-l2/gradients-{name}.png)"


def claims(outcomes: Outcomes) -> str:
    """Every claim with its verdict, then what there is to say about it."""
    judged = [(claim, *_judged(claim, outcomes)) for claim in CLAIMS]
    names = {each: [claim.name for claim, _, found in judged if found is each] for each in Verdict}
    summary = "\n".join(
        f"- **{each.value}**, {len(found)}: {', '.join(found)}." for each, found in names.items() if found
    )
    shown = as_table(
        (
            "name",
            "claim",
            "in the paper",
            "here",
            "difference, 95 % interval",
            "images",
            "verdict",
            "evaluations",
        ),
        [_claim_row(claim, difference, found) for claim, difference, found in judged],
    )
    remarks = _remarks([(claim, found) for claim, _, found in judged], outcomes)
    return "\n".join(
        (f"{len(CLAIMS)} claims, by what the measurements say:", "", summary, "", shown, "", *remarks)
    )


def evaluations(outcomes: Outcomes) -> str:
    """Every evaluation: its command, what for, how much, how long."""
    return as_table(
        ("name", "command", "what for", "n", "images", "minutes", "executed by"),
        [
            (
                each.name,
                f"`radii evaluate {each.arguments} --out FOLDER`",
                each.purpose,
                votes_of(each.name),
                option_of(each.arguments, "--images") or "100",
                str(each.minutes),
                executed_by(outcomes[each.name]) if each.name in outcomes else MISSING,
            )
            for each in EVALUATIONS
        ],
    )


SECTIONS: Final[Mapping[str, Callable[[Outcomes], str]]] = {
    "zoo": zoo, "claims": claims, "fixed": fixed, "auto": auto, "data-dependent": data_dependent,
    "levels": levels, "hybrid": hybrid, "bounds": bounds, "noise": noise, "sweeps": sweeps,
    "attacks": attacks, "corruptions": corruptions, "gradients": gradients, "evaluations": evaluations,
}  # fmt: skip
"""What may stand between marks, by name."""


def _judged(claim: Claim, outcomes: Outcomes) -> tuple[Difference | None, Verdict]:
    measured = claim.comparison.measured(outcomes)
    difference = claim.comparison.compare(outcomes) if measured else None
    return difference, verdict(claim.rule, difference, measured=measured)


def _claim_row(claim: Claim, found: Difference | None, judged: Verdict) -> tuple[str, ...]:
    figures, interval, images = EMPTY, EMPTY, EMPTY
    if found is not None:
        scale, digits, unit = (100, 1, " %") if claim.unit == "%" else (1, 4, f" {claim.unit}")
        figures = f"{found.first * scale:.{digits}f} to {found.second * scale:.{digits}f}{unit}"
        ends = (found.low * scale, found.high * scale)
        low, high = (f"{end:+.{digits}f}".replace("inf", "∞") for end in ends)
        interval = f"{found.difference * scale:+.{digits}f} [{low}, {high}]"
        images = str(found.images)
    links = " ".join(map(link_to, claim.comparison.evaluations))
    return (claim.name, claim.says, claim.paper, figures, interval, images, f"**{judged.value}**", links)


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
    """Tell epochs where classifiers that are compared were trained for different numbers of them."""
    facts = {name: found for outcome in measured for name, found in outcome["bundles"].items()}
    epochs = {name.removeprefix(bundle("")): found["epochs"] for name, found in facts.items()}
    if len(measured) < 2 or len(set(epochs.values())) < 2:
        return ""
    return f"Epochs: {', '.join(f'{name} {count}' for name, count in epochs.items())}."


def _executed_unlike(measured: Sequence[Outcome]) -> str:
    """Tell arithmetics where they differ."""
    kinds = list(dict.fromkeys(map(executed_by, measured)))
    return f"Executed by {' and '.join(kinds)}." if len(kinds) > 1 else ""


def executed_by(outcome: Outcome) -> str:
    """Return what executed the classifiers; where no votes are counted that is PyTorch, in float32."""
    found = [
        row["executed by"]
        for name, table in outcome["tables"].items()
        if "executed by" in table.get("columns", ())
        for row in named_rows(outcome, name)
    ]
    return "; ".join(dict.fromkeys(found)) or "PyTorch float32"


def _certified(outcomes: Outcomes, lines: Sequence[Ours | Theirs]) -> str:
    rows: list[tuple[str, ...]] = []
    for line in lines:
        if isinstance(line, Theirs):
            figures = [f"{float(figure):.1f}" for figure in line.figures.split()]
            rows.append((line.label, "CIFAR-10", *figures, line.acr, line.n, line.images, line.source))
        elif line.evaluation not in outcomes:
            left = [EMPTY] * (len(_RADII) + 1)
            votes = votes_of(line.evaluation)
            rows.append((line.label, MISSING, *left, votes, EMPTY, link_to(line.evaluation)))
        else:
            found = outcomes[line.evaluation]["certified"][line.run]
            rows.append((line.label, "Fashion-MNIST", *_ours(line.evaluation, found)))
    head = ("classifier", "data", *(f"{radius:g}" for radius in _RADII), "ACR ℓ2", "n", "images")
    return as_table((*head, "evaluation"), rows)


def _ours(evaluation: str, found: Outcome) -> Iterator[str]:
    images = len(found["index"])
    answered = list(zip(found["right"], found["l2"], strict=True))
    for radius in _RADII:
        yield as_share(sum(right == "1" and value >= radius for right, value in answered), images)
    yield as_mean(found["l2"])
    yield votes_of(evaluation)
    yield str(images)
    yield link_to(evaluation)
