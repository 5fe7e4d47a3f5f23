"""The suites by name. ``certify`` is not among them: its certificates are made by what serves them."""

from models.evaluation.attacks import AttackSuite
from models.evaluation.bench import Suite
from models.evaluation.bounds import BoundSuite
from models.evaluation.corruptions import CorruptionSuite
from models.evaluation.gradients import GradientSuite
from models.evaluation.levels import LevelSuite
from models.evaluation.noise import NoiseSuite

CERTIFY = "certify"

SUITES: dict[str, Suite] = {
    "noise": NoiseSuite(),
    "attacks": AttackSuite(),
    "corruptions": CorruptionSuite(),
    "gradients": GradientSuite(),
    "levels": LevelSuite(),
    "bounds": BoundSuite(),
}
