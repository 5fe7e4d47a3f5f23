"""Answers to print; the numbers are true."""

from collections.abc import Sequence
from typing import Any

from contract.certificates import Certificate, PredictedLabel
from tests.service.examples import make_certificate, make_prediction

CLASSES = ["boot", "bag", "coat"]


def certificate(noise: str = "gaussian", counts: Sequence[int] = (990, 6, 4), **fields: Any) -> Certificate:
    """One that claims something."""
    return make_certificate("d" * 32, counts, noise=noise, classes=CLASSES, **fields)


def abstention() -> Certificate:
    """One that claims nothing."""
    return certificate(counts=(500, 500, 0))


def prediction(noise: str = "gaussian") -> PredictedLabel:
    """A label without a radius."""
    return make_prediction(certificate(noise))
