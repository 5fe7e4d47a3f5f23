"""Makes a bundle from any pretrained classifier."""

from models.intake.clean import read_clean
from models.intake.create import create_bundle, parse_arguments, parse_classes
from models.intake.weights import Checkpoint, read_checkpoint

__all__ = [
    "Checkpoint",
    "create_bundle",
    "parse_arguments",
    "parse_classes",
    "read_checkpoint",
    "read_clean",
]
