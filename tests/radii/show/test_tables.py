"""What a person reads is never more than what was certified."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from contract.certificates import Check, Verification
from contract.choices import Stage
from contract.jobs import Progress
from contract.models import ModelInfo, ModelList
from radii.show.numbers import ceiling, floor, in_255
from radii.show.progress import sampling_bar, stage_words
from radii.show.tables import show_models, show_verification
from service.openapi.examples import EXAMPLES

ACCURACIES = ("clean_accuracy", "noisy_accuracy", "noisy_accuracy_adapted")


@given(st.floats(min_value=0, max_value=100, allow_nan=False))
def test_radii_are_printed_rounded_down(value: float) -> None:
    """In both units, for any radius; a bound from above is rounded up."""
    assert float(floor(value)) <= value <= float(ceiling(value))
    assert float(in_255(value)) <= value * 255 * (1 + 1e-15)


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words(stage: Stage) -> None:
    """No stage is shown by its code name alone, and none breaks the bar."""
    assert " " in stage_words(Progress(stage=stage)) or stage in (Stage.SAMPLING, Stage.DONE)
    with sampling_bar(Console(quiet=True)) as show:
        show(Progress(stage=stage, completed=5, total=10, radius_so_far=0.5))


def test_the_radius_so_far_is_shown_beside_the_stage() -> None:
    progress = Progress(stage=Stage.SAMPLING, radius_so_far=0.51239)
    assert stage_words(progress) == "sampling, certified so far: 0.5123"
    assert "noise level" in stage_words(Progress(stage=Stage.CHOOSING))
    assert "adapting" in stage_words(Progress(stage=Stage.ADAPTING))


def test_models_are_listed_with_what_was_measured_of_them() -> None:
    """Nothing is cut short in 80 columns; a level only where it is not the recommended one; markup is a name like any."""
    recorded = json.loads((EXAMPLES / "list_models.json").read_text())["responses"]["200"]["models"][0]
    plain = ModelInfo.model_validate(recorded)
    clean, noisy = (
        metric for metric in plain.metrics if metric.metric in ("clean_accuracy", "noisy_accuracy")
    )
    other = plain.model_copy(
        update={
            "name": "of-a-rather-long-name[bold]",
            "ready": False,
            "reason": "its weights are damaged",
            "metrics": [noisy.model_copy(update={"sigma": 0.25})],
        }
    )
    console = Console(width=80, record=True, file=io.StringIO())
    show_models(console, ModelList(default=plain.name, models=[plain, other]))
    shown = console.export_text()
    words = shown.split()
    assert words.count(f"{clean.value:.1%}") == 1
    assert f"{noisy.value:.1%} at 0.25" in shown
    assert plain.name in words
    assert f"{other.name} is not ready: its weights are damaged" in shown
    assert "…" not in shown


def test_every_column_fits_80_columns() -> None:
    """The last one, too, of the widest model that is not folded."""
    recorded = json.loads((EXAMPLES / "list_models.json").read_text())["responses"]["200"]["models"][0]
    metrics = [{**recorded["metrics"][0], "metric": name, "value": 0.987} for name in ACCURACIES]
    wide = {"name": "m" * 28, "input_shape": [3, 224, 224], "sigma": 0.25, "metrics": metrics}
    console = Console(width=80, record=True, file=io.StringIO())
    show_models(console, ModelList(default=None, models=[ModelInfo.model_validate(recorded | wide)]))
    words = console.export_text().split()
    assert {"m" * 28, "3×224×224", "0.25", "adapted"} <= set(words)
    assert words.count("98.7%") == 3


def test_a_verification_begins_with_what_fails_and_ends_with_the_verdict() -> None:
    recorded = json.loads((EXAMPLES / "verify.json").read_text())["responses"]["200"]
    good = Verification.model_validate(recorded)
    checks = [*good.checks, Check(name="last", passed=False, message="regions [1]")]
    bad = Verification(certificate_id="c", valid=False, checks=checks)
    console = Console(width=80, record=True, file=io.StringIO())
    show_verification(console, bad)
    lines = console.export_text().splitlines()
    assert {"check", "result"} <= set(lines[1].split())
    assert {"last", "FAILS", "[1]"} <= set(lines[3].split())
    assert lines[-1] == "certificate c is not valid: last"
    show_verification(console, good)
    assert (
        console.export_text().splitlines()[-1]
        == f"certificate {good.certificate_id} is valid: every check holds"
    )
