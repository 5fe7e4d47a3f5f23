"""The suites by name. ``certify`` is not among them: its certificates are made by what serves them."""

from collections.abc import Mapping
from typing import Final

from evaluation.plan import SuiteName
from evaluation.suites.attacks import AttackSuite
from evaluation.suites.bounds import BoundSuite
from evaluation.suites.corruptions import CorruptionSuite
from evaluation.suites.gradients import GradientSuite
from evaluation.suites.levels import LevelSuite
from evaluation.suites.noise import NoiseSuite
from evaluation.suites.suite import Suite

SUITES: Final[Mapping[str, Suite]] = {
    SuiteName.NOISE: NoiseSuite(),
    SuiteName.ATTACKS: AttackSuite(),
    SuiteName.CORRUPTIONS: CorruptionSuite(),
    SuiteName.GRADIENTS: GradientSuite(),
    SuiteName.LEVELS: LevelSuite(),
    SuiteName.BOUNDS: BoundSuite(),
}
