"""What a person reads is never more than what was certified."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from contract.certificates import Certificate
from radii.display import floor, in_255, show_certificate
from tests.radii.examples import abstention, certificate


@given(st.floats(min_value=0, max_value=100, allow_nan=False))
def test_radii_are_printed_rounded_down(value: float) -> None:
    """In both units, for any radius."""
    assert float(floor(value)) <= value
    assert float(in_255(value)) <= value * 255 * (1 + 1e-15)


def printed(answer: Certificate) -> str:
    """The certificate on a terminal of 100 columns."""
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show_certificate(console, answer, ["boot", "bag", "coat"])
    text = console.export_text()
    console.file.close()
    return text


@pytest.mark.parametrize(
    "words",
    [
        "boot",
        "0.8123",
        "207.1",
        "σ = 0.5",
        "990 of 1,000 for boot",
        "then 6 for bag",
        "0.001",
        "What it means",
    ],
)
def test_a_certificate_tells_what_it_rests_on(words: str) -> None:
    """Label, radius in both units, σ, votes, α and the meaning."""
    assert words in printed(certificate())


def test_an_abstention_is_no_error_and_claims_nothing() -> None:
    """It says so in words."""
    text = printed(abstention())
    assert "abstains" in text
    assert "nothing is claimed" in text
