"""Making a bundle of any pretrained classifier."""

from models.intake.clean import read_clean
from models.intake.create import create_bundle, parse_arguments, parse_classes
from models.intake.weights import read_weights

__all__ = ["create_bundle", "parse_arguments", "parse_classes", "read_clean", "read_weights"]
