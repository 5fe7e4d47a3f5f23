"""The suites by name. ``certify`` is not among them: its certificates are made by what serves them."""

from evaluation.suites.attacks import AttackSuite
from evaluation.suites.bounds import BoundSuite
from evaluation.suites.corruptions import CorruptionSuite
from evaluation.suites.gradients import GradientSuite
from evaluation.suites.levels import LevelSuite
from evaluation.suites.noise import NoiseSuite
from evaluation.suites.suite import Suite

CERTIFY = "certify"

SUITES: dict[str, Suite] = {
    "noise": NoiseSuite(),
    "attacks": AttackSuite(),
    "corruptions": CorruptionSuite(),
    "gradients": GradientSuite(),
    "levels": LevelSuite(),
    "bounds": BoundSuite(),
}
