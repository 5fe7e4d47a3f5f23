"""The guarantee: noises, bounds, votes and certificates for smoothed classifiers.

Start at ``smoothing.certify``, which reads beside the paper's algorithm. Nothing here reads files or
settings, logs, or knows of services: images and classifiers come in as arguments, results go out as frozen
records.

Reference:
    Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019.
"""

from smoothing.bounds import (
    BOUNDS,
    Bound,
    lower_confidence_bound,
    minimum_samples,
    one_sided,
    perfect_vote_p_lower,
    split_alpha,
    two_sided,
    upper_confidence_bound,
)
from smoothing.certify import Certification, certify
from smoothing.errors import (
    BatchDependentClassifier,
    InvalidLogits,
    InvalidParameter,
    NonFiniteLogits,
    SmoothingError,
    UnusableClassifier,
)
from smoothing.noises import NO_RADIUS, NOISES, Gaussian, Noise, Radii
from smoothing.predict import Prediction, predict
from smoothing.probe import check_batch_invariance
from smoothing.randomness import draw_seed, generator_for
from smoothing.rounding import round_down
from smoothing.sampling import BaseClassifier, count_classes
from smoothing.schedule import Look, look_schedule, single_look

__all__ = [
    "BOUNDS",
    "NOISES",
    "NO_RADIUS",
    "BaseClassifier",
    "BatchDependentClassifier",
    "Bound",
    "Certification",
    "Gaussian",
    "InvalidLogits",
    "InvalidParameter",
    "Look",
    "Noise",
    "NonFiniteLogits",
    "Prediction",
    "Radii",
    "SmoothingError",
    "UnusableClassifier",
    "certify",
    "check_batch_invariance",
    "count_classes",
    "draw_seed",
    "generator_for",
    "look_schedule",
    "lower_confidence_bound",
    "minimum_samples",
    "one_sided",
    "perfect_vote_p_lower",
    "predict",
    "round_down",
    "single_look",
    "split_alpha",
    "two_sided",
    "upper_confidence_bound",
]
