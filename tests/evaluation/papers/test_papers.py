"""docs/results.md says what was measured and nothing else; verdicts follow from intervals."""

import io
import re
import shlex
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

import pytest
import typer
from click import Command
from rich.console import Console

from evaluation.papers.__main__ import FOLDER, PAGE, measure, plan_of, stale, up_to_date
from evaluation.papers.claims import CLAIMS, Claim, Verdict
from evaluation.papers.claims_section import claims
from evaluation.papers.comparisons import CorruptionErrors, Difference, EqualAccuracy, Paired
from evaluation.papers.evaluations import EVALUATIONS, Evaluation
from evaluation.papers.measures import Answers, BoundRadius, Gain, Outcomes, Radius
from evaluation.papers.outcomes import as_text, read_outcomes, trim
from evaluation.papers.page import marks, render
from evaluation.papers.sections import SECTIONS
from evaluation.statistics.corruption_error import corruption_errors as mce_of
from evaluation.statistics.corruption_error import mean_of_known, relative_corruption_errors
from evaluation.statistics.intervals import mean_interval
from models.bundles import write_bundle
from models.data import load_dataset
from radii.main import app
from tests.models.support import describe, tiny_network, write_synthetic_fashion

NAMES = [evaluation.name for evaluation in EVALUATIONS]
MEGABYTE = 1_000_000


def test_the_page_is_what_the_outcomes_render() -> None:
    """`make results ONLY=page` writes it anew."""
    page = PAGE.read_text()
    assert render(page, read_outcomes(FOLDER)) == page
    assert sorted(marks(page)) == sorted(SECTIONS)


def commands() -> list[str]:
    """Every command in the page that could be typed as it stands."""
    found = re.findall(r"`(radii [^`]+)`", PAGE.read_text())
    return sorted({command for command in found if "…" not in command})


def test_every_evaluation_s_command_is_in_the_page() -> None:
    told = [command for command in commands() if command.startswith("radii evaluate ")]
    assert told == sorted(f"{each.command} --out FOLDER" for each in EVALUATIONS)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command: str) -> None:
    """By the command line itself: every option is there, and takes this value."""
    _, name, *arguments = shlex.split(command)
    group: Any = typer.main.get_command(app)
    subcommand: Command = group.commands[name]
    context = subcommand.make_context(name, arguments)
    assert not context.args


def test_a_wrong_command_is_not_understood() -> None:
    """The check above can fail."""
    group: Any = typer.main.get_command(app)
    with pytest.raises(Exception, match="--nonsense"):
        group.commands["evaluate"].make_context("evaluate", ["one", "--out", "f", "--nonsense", "1"])


def test_outcomes_are_of_the_evaluations_as_they_are_listed() -> None:
    """Each is of the list, made by its command, of bundles as they are shipped, and all of them are small."""
    outcomes = read_outcomes(FOLDER)
    listed = {each.name: f"{each.command} --out FOLDER" for each in EVALUATIONS}
    assert {name: found["command"] for name, found in outcomes.items()} == {
        name: listed[name] for name in outcomes
    }
    assert stale(outcomes) == []
    committed = [*FOLDER.glob("*/outcome.json"), *FOLDER.glob("*/gradients-*.png")]
    assert sum(path.stat().st_size for path in committed) < 3 * MEGABYTE


def test_an_outcome_of_another_bundle_or_plan_is_stale() -> None:
    evaluation = next(each for each in EVALUATIONS if each.name == "certify-gaussian")
    plan = plan_of(evaluation)
    assert stale({evaluation.name: {"plan": plan.model_dump(mode="json")}}) == []
    for change in ({"bundles": dict.fromkeys(plan.bundles, "0" * 64)}, {"images": 7}):
        other = plan.model_copy(update=change).model_dump(mode="json")
        assert stale({evaluation.name: {"plan": other}}) == [evaluation.name]


def test_claims_rest_on_evaluations_of_the_list() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert set(claim.comparison.evaluations) <= set(NAMES), claim.name
    used = {name for claim in CLAIMS for name in claim.comparison.evaluations}
    page = PAGE.read_text()
    assert all(f"[{name}](#evaluations)" in page for name in used)


def test_images_of_the_smaller_evaluations_are_among_those_of_the_larger() -> None:
    """So that runs of both can be paired."""
    strides = {
        each.options.get("skip", 1)
        for each in EVALUATIONS
        if each.votes and each.options.get("suite") != "levels"  # it is paired with nothing
    }
    assert strides == {20, 40, 80}


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        (("more", 0.0), 0.1, 0.3, Verdict.HOLDS),
        (("more", 0.0), -0.1, 0.3, Verdict.UNDECIDED),
        (("more", 0.0), -0.3, -0.1, Verdict.DOES_NOT_HOLD),
        (("more", 0.0), 0.0, 0.0, Verdict.UNDECIDED),  # no image differs: two names for one thing
        (("less", 0.0), -0.3, -0.1, Verdict.HOLDS),
        (("less", 0.0), -0.3, 0.1, Verdict.UNDECIDED),
        (("less", 0.0), 0.1, 0.3, Verdict.DOES_NOT_HOLD),
        (("no_less", 0.02), -0.01, 0.3, Verdict.HOLDS),
        (("no_less", 0.02), -0.03, 0.3, Verdict.UNDECIDED),
        (("no_less", 0.02), -0.05, -0.03, Verdict.DOES_NOT_HOLD),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(
    rule: tuple[str, float], low: float, high: float, expected: Verdict
) -> None:
    found = Difference((low + high) / 2, 0.0, low, high, 100)
    claim = claim_of(*rule)
    assert claim.verdict(found) is expected
    assert claim.verdict(None) is Verdict.UNDECIDED
    assert claim.judge({}) == (None, Verdict.MISSING)


def claim_of(rule: str, margin: float = 0.0) -> Claim:
    """A claim about two runs."""
    pair = {"first": {"evaluation": "a", "run": "x"}, "second": {"evaluation": "b", "run": "y"}}
    about = {"name": "", "says": "", "paper": "", "unit": ""}
    return Claim.model_validate({**about, "rule": rule, "margin": margin, "comparison": pair})


def certified(radii: Mapping[int, float], *, accuracy: str | None = None) -> dict[str, Any]:
    """One run as it is kept; images with a radius are right unless it is said which are."""
    values = list(radii.values())
    digits = accuracy or "".join("1" if value > 0 else "0" for value in values)
    return {"index": list(radii), "right": digits, "l2": values, "l1": values}


def outcome(**runs: dict[str, Any]) -> dict[str, Any]:
    return {"plan": {"every": 40}, "bundles": {}, "tables": {}, "certified": runs}


def test_pairs_are_images_that_both_have() -> None:
    """The third image of one and the fourth of the other are left alone; by hand: 0.5, 0.25, mean 0.375."""
    outcomes = {
        "a": outcome(x=certified({0: 1.0, 40: 0.25, 80: 9.0})),
        "b": outcome(y=certified({0: 0.5, 40: 0.0, 120: 9.0})),
    }
    first, second = Radius(evaluation="a", run="x"), Radius(evaluation="b", run="y")
    comparison = Paired(first=first, second=second)
    assert comparison.evaluations == ("a", "b")
    assert claim_of("more").judge({"a": outcomes["a"]}) == (None, Verdict.MISSING)
    assert comparison.compare(outcomes) == Difference(0.625, 0.25, *mean_interval([0.5, 0.25]), 2)
    half = {"at_least": 0.5}
    reached = Paired(first=first.model_copy(update=half), second=second.model_copy(update=half)).compare(
        outcomes
    )
    assert (reached.first, reached.second) == (0.5, 0.5)
    doubled = Gain(gain_of=Gain(gain_of=first, over=second), over=second)
    assert doubled.read(outcomes) == {0: 0.0, 40: 0.25}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1" * 200, "1" * 200, Verdict.HOLDS),  # none differs: 1.88 points either way
        ("1" * 199 + "0", "1" * 200, Verdict.UNDECIDED),  # 2.8 points worse may be
        ("1" * 200, "0" * 9 + "1" * 191, Verdict.HOLDS),  # 4.5 points better
        ("0" * 20 + "1" * 180, "1" * 200, Verdict.DOES_NOT_HOLD),
    ],
)
def test_few_images_that_differ_prove_little(first: str, second: str, expected: Verdict) -> None:
    """Of 200 images, by Tango's interval."""
    outcomes = {
        "n": {"plan": {"every": 1}, "tables": {"t": {"rows": [["x", "a", first], ["x", "b", second]]}}}
    }
    one, other = (Answers(evaluation="n", table="t", row=("x", name)) for name in "ab")
    found = Paired(first=one, second=other).compare(outcomes)
    assert claim_of("no_less", 0.02).verdict(found) is expected


def test_radii_by_a_bound_are_read_in_units() -> None:
    table = {"columns": ["run", "index", "one_sided"], "rows": [["x", 40, 0.75], ["y", 40, 1.0]]}
    outcomes = {"b": {"plan": {"every": 40}, "tables": {"bounds-images": table}}}
    assert BoundRadius(evaluation="b", run="x", bound="one_sided", unit=0.5).read(outcomes) == {40: 1.5}


def test_answers_are_read_by_their_place_in_the_test_split() -> None:
    rows = [["one", 0.5, "as trained", "011"], ["one", 0.5, "adapted", "111"]]
    outcomes = {"n": {"plan": {"every": 5}, "tables": {"noise-images": {"rows": rows}}}}
    found = Answers(evaluation="n", table="noise-images", row=("one", 0.5, "as trained"))
    assert found.read(outcomes) == {0: 0.0, 5: 1.0, 10: 1.0}


def test_an_error_that_one_image_decides_is_not_judged() -> None:
    """Without it the baseline gets no worse under fog, so there is nothing to measure against."""
    rows = [
        ["one", "none", 0, "1111"], ["one", "fog", 1, "0111"],
        ["base", "none", 0, "1111"], ["base", "fog", 1, "1011"],
    ]  # fmt: skip
    outcomes = {"c": {"plan": {"every": 1}, "tables": {"corruptions-images": {"rows": rows}}}}
    for relative in (False, True):
        comparison = CorruptionErrors(
            evaluation="c", first="one", second="base", baseline="base", relative=relative
        )
        assert comparison.compare(outcomes) is None


ERRORS = {
    "one": {"none": ["1110"], "fog": ["1100", "1000"], "snow": ["0110", "0110"]},
    "base": {"none": ["1111"], "fog": ["1010", "0000"], "snow": ["0111", "1010"]},
}


@pytest.mark.parametrize("relative", [False, True])
def test_corruption_errors_are_those_of_the_suite(relative: bool) -> None:
    """By `evaluation.statistics.corruption_error`; without an image they are those of the others."""

    def expected(kept: tuple[int, ...]) -> float:
        rates = {
            name: {
                corruption: [sum(row[place] == "0" for place in kept) / len(kept) for row in rows]
                for corruption, rows in of.items()
            }
            for name, of in ERRORS.items()
        }
        clean = {name: of.pop("none")[0] for name, of in rates.items()}
        ratios = (
            relative_corruption_errors(rates["one"], clean["one"], rates["base"], clean["base"])
            if relative
            else mce_of(rates["one"], rates["base"])
        )
        return mean_of_known(ratios) or 0.0

    rows = [
        [name, corruption, severity, digits]
        for name, of in ERRORS.items()
        for corruption, found in of.items()
        for severity, digits in enumerate(found)
    ]
    outcomes = {"c": {"plan": {"every": 1}, "tables": {"corruptions-images": {"rows": rows}}}}
    found = CorruptionErrors(
        evaluation="c", first="one", second="base", baseline="base", relative=relative
    ).compare(outcomes)
    assert found is not None
    assert (found.first, found.second) == (pytest.approx(expected((0, 1, 2, 3))), pytest.approx(1.0))
    without = [expected(tuple(one for one in range(4) if one != place)) - 1.0 for place in range(4)]
    spread = mean_interval([-3 * one for one in without])  # the jackknife, about the difference
    assert found.high - found.low == pytest.approx(spread[1] - spread[0])
    assert found.high + found.low == pytest.approx(2 * found.difference)


def equal_accuracy(run: tuple[str, str], others: list[tuple[str, str]]) -> EqualAccuracy:
    def one(names: tuple[str, str]) -> Radius:
        return Radius(evaluation=names[0], run=names[1])

    return EqualAccuracy(run=one(run), others=tuple(map(one, others)))


def test_radii_are_compared_at_equal_accuracy() -> None:
    """The others have accuracies ½ and 1 with ACR 1 and ½; at ¾, which is the run's own, 0.75."""
    images = range(0, 800, 2)
    half = [1.0, 1.0, 0.0, 0.0] * 100
    outcomes = {
        "a": outcome(
            high=certified(
                dict(zip(images, (2 * value for value in half), strict=True)), accuracy="1100" * 100
            ),
            low=certified(dict.fromkeys(images, 0.5), accuracy="1111" * 100),
        ),
        "b": outcome(
            middle=certified(
                dict(zip(images, [0.4, 0.4, 0.4, 0.0] * 100, strict=True)), accuracy="1110" * 100
            ),
            below=certified(dict.fromkeys(images, 0.0), accuracy="0000" * 100),
            edge=certified(dict(zip(images, half, strict=True)), accuracy="0111" + "1100" * 99),
        ),
    }
    others = [("a", "high"), ("a", "low")]
    found = equal_accuracy(("b", "middle"), others).compare(outcomes)
    assert found is not None
    assert (found.first, found.second, found.images) == (pytest.approx(0.3), pytest.approx(0.75), 400)
    assert found.low < -0.45 < found.high < 0
    # All others are more accurate: what they would reach at its accuracy is not known, but it is no less.
    found = equal_accuracy(("b", "below"), others).compare(outcomes)
    assert found is not None
    assert (found.first, found.second, found.low) == (0.0, 1.0, -inf)
    assert found.high == pytest.approx(-1, abs=0.15)
    assert claim_of("more").verdict(found) is Verdict.DOES_NOT_HOLD
    # No other is as accurate.
    assert equal_accuracy(("a", "low"), [("a", "high")]).compare(outcomes) is None
    # Others just as accurate, and so less accurate in half of the samples: nothing is decided.
    assert equal_accuracy(("b", "edge"), [("a", "high")]).compare(outcomes) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((1.0, 0.9, 1.1), (0.5, 0.5, 0.5), "**holds**"),
        ((0.5, 0.5, 0.5), (1.0, 0.9, 1.1), "**does not hold**"),
        ((0.5, 0.1, 0.9), (0.1, 0.5, 0.8), "**not decided**"),
        (None, (0.5, 0.5, 0.5), "**not measured yet**"),
    ],
)
def test_the_page_gives_the_verdict(
    ours: tuple[float, ...] | None, theirs: tuple[float, ...], expected: str
) -> None:
    """On hand-made certificates of three images; what has no reason says that it has none."""
    gaussian = certified(dict(zip((0, 40, 80), theirs, strict=True)))
    outcomes = {
        "certify-gaussian": outcome(**{"fashion-mnist-gaussian, gaussian, as trained, σ = 0.5": gaussian})
    }
    if ours is not None:
        consistency = certified(dict(zip((0, 40, 80), ours, strict=True)))
        outcomes["certify-consistency"] = outcome(
            **{"fashion-mnist-consistency, gaussian, as trained, σ = 0.5": consistency}
        )
    for name, found in outcomes.items():
        found["bundles"][f"fashion-mnist-{name.removeprefix('certify-')}"] = {
            "epochs": 16 if "gaussian" in name else 5
        }
        dtype = "float32" if name == "certify-consistency" else "int8"
        found["tables"]["certificates"] = {"columns": ["executed by"], "rows": [[f"openvino {dtype}"]]}
    shown = claims(outcomes)
    (row,) = [line for line in shown.splitlines() if line.startswith("| consistency |")]
    assert expected in row
    explained = re.search(r"\*\*consistency\*\*: We have no explanation\.", shown) is not None
    assert explained == (expected == "**does not hold**")
    unlike = "Epochs: consistency 5, gaussian 16. Executed by openvino float32 and openvino int8." in shown
    assert unlike == (ours is not None)


def test_certificates_are_kept_by_column() -> None:
    """A wrong answer has no radius; what the page does not need is left out."""
    columns = ["run", "index", "correct", "radius l2", "radius l1", "p lower"]
    rows = [["x", 0, 1, 0.5, 0.6, "0.9"], ["x", 40, 0, 0.7, 0.8, "0.9"]]
    tables = {"records": {"columns": columns, "rows": rows}, "intervals-l2": {}, "certificates": {"rows": []}}
    kept = trim({"command": "c", "plan": {"every": 40}, "tables": tables}, {"one": {}})
    assert kept["certified"] == {"x": {"index": [0, 40], "right": "10", "l2": [0.5, 0.0], "l1": [0.6, 0.0]}}
    assert list(kept["tables"]) == ["certificates"]
    assert as_text(kept).count("\n") == 7


def test_an_evaluation_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it is there; without its bundle it is left for later; of another plan it is made anew."""
    (tmp_path / "data").mkdir()
    data = write_synthetic_fashion(tmp_path / "data")
    dataset = load_dataset("fashion-mnist", data)
    description = describe(name="small", classes=dataset.classes, input_shape=(1, 12, 12))
    write_bundle(
        tmp_path / "bundles" / "small", description, tiny_network(num_classes=10), clean=dataset.train.images
    )
    options = {"suite": "noise", "noise-sigmas": "0.25", "images": 4}
    about = {"name": "tiny", "bundles": ["small"], "purpose": "", "minutes": 0}
    evaluation = Evaluation.model_validate({**about, "options": options})
    said = Console(file=io.StringIO())

    def measured(evaluation: Evaluation, outcomes: Outcomes) -> bool | None:
        return measure(evaluation, outcomes, said, into=tmp_path / "out", more=("--data", str(data)))

    assert measured(evaluation, {}) is None
    monkeypatch.setenv("RADII_MODELS", str(tmp_path / "bundles"))
    assert measured(evaluation, {}) is True
    path = tmp_path / "out" / "tiny" / "outcome.json"
    written = path.stat().st_mtime_ns
    outcomes = read_outcomes(tmp_path / "out")
    assert outcomes["tiny"]["bundles"]["small"]["shipped"] is False
    assert [row[:3] for row in outcomes["tiny"]["tables"]["noise-images"]["rows"]] == [
        ["small", 0.0, "as trained"], ["small", 0.25, "as trained"], ["small", 0.25, "adapted"],
    ]  # fmt: skip
    assert outcomes["tiny"]["command"] == f"{evaluation.command} --out FOLDER"
    assert up_to_date(evaluation, plan_of(evaluation), outcomes)
    assert measured(evaluation, outcomes) is True
    assert path.stat().st_mtime_ns == written
    changed = Evaluation.model_validate({**about, "options": {**options, "noise-sigmas": "0.5"}})
    assert measured(changed, outcomes) is True
    assert path.with_name("journal.stale.sqlite").exists()
    outcomes = read_outcomes(tmp_path / "out")
    assert up_to_date(changed, plan_of(changed), outcomes)
