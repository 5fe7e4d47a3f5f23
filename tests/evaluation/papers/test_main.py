"""What is measured, and when it is measured anew."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from evaluation.papers.__main__ import FOLDER, measure, plan_of, up_to_date
from evaluation.papers.evaluations import EVALUATIONS, Evaluation
from evaluation.papers.measures import Outcomes
from evaluation.papers.outcomes import read_outcomes
from models.bundles import find_bundles, write_bundle
from models.data import load_dataset
from tests.models.support import describe, tiny_network, write_synthetic_fashion

MEGABYTE = 1_000_000


def test_outcomes_are_of_the_evaluations_as_they_are_listed() -> None:
    """Each is of the list, made by its command, of bundles as they are shipped, and all of them are small."""
    outcomes = read_outcomes(FOLDER)
    listed = {each.name: f"{each.command} --out FOLDER" for each in EVALUATIONS}
    assert {name: found["command"] for name, found in outcomes.items()} == {
        name: listed[name] for name in outcomes
    }
    measured = [each for each in EVALUATIONS if each.name in outcomes]
    here = [each for each in measured if set(each.bundles) <= set(find_bundles())]
    assert here
    assert all(up_to_date(each, plan_of(each), outcomes) for each in here)
    committed = [*FOLDER.glob("*/outcome.json"), *FOLDER.glob("*/gradients-*.png")]
    assert sum(path.stat().st_size for path in committed) < 3 * MEGABYTE


def test_an_outcome_of_another_bundle_or_plan_is_stale() -> None:
    evaluation = next(each for each in EVALUATIONS if each.name == "certify-gaussian")
    plan = plan_of(evaluation)
    assert up_to_date(evaluation, plan, {evaluation.name: {"plan": plan.model_dump(mode="json")}})
    for change in ({"bundles": dict.fromkeys(plan.bundles, "0" * 64)}, {"images": 7}):
        other = plan.model_copy(update=change).model_dump(mode="json")
        assert not up_to_date(evaluation, plan, {evaluation.name: {"plan": other}})


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
