"""The suites by name. ``certify`` is not among them: its certificates are made by what serves them."""

from collections.abc import Mapping
from typing import Final

from evaluation.plan import SuiteName
from evaluation.suites import attacks, bounds, corruptions, gradients, levels, noise
from evaluation.suites.suite import Suite

SUITES: Final[Mapping[str, Suite]] = {
    SuiteName.NOISE: noise,
    SuiteName.ATTACKS: attacks,
    SuiteName.CORRUPTIONS: corruptions,
    SuiteName.GRADIENTS: gradients,
    SuiteName.LEVELS: levels,
    SuiteName.BOUNDS: bounds,
}
