"""What a person reads is never more than what was certified."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from contract.choices import Stage
from contract.jobs import Progress
from radii.display import ceiling, floor, in_255, sampling_bar, stage_words


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
