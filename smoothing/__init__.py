"""The guarantee: noises, bounds, votes and certificates for smoothed classifiers.

Start at ``smoothing.certify``, which reads beside the paper's algorithm. Nothing here reads files or
settings, logs, or knows of services: images and classifiers come in as arguments, results go out as frozen
records.

Reference:
    Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019.
"""

from smoothing.adaptation import (
    NotAdaptable,
    Statistics,
    adaptable,
    batch_norm_layers,
    estimate_statistics,
    with_statistics,
)
from smoothing.bounds import (
    BOUNDS,
    Bound,
    joint_upper_confidence_bound,
    lower_confidence_bound,
    minimum_samples,
    one_sided,
    perfect_vote_p_lower,
    split_alpha,
    t_certify,
    two_sided,
    upper_confidence_bound,
)
from smoothing.certification import Certification, Segment, Votes
from smoothing.certify import certify
from smoothing.errors import (
    BatchDependentClassifier,
    InvalidLogits,
    InvalidParameter,
    NonFiniteGradient,
    NonFiniteLogits,
    SmoothingError,
    UnusableClassifier,
)
from smoothing.hybrid import (
    BRANCHES,
    HybridCertification,
    branch_seed,
    certify_hybrid,
    combine,
    combine_predictions,
)
from smoothing.noise_level import AUTO_GRID, ClassifierFor, NoiseLevel, Trial, auto_noise, optimize_sigma
from smoothing.noises import NO_RADIUS, NOISES, Gaussian, Noise, Radii, Uniform
from smoothing.predict import Prediction, predict
from smoothing.probe import check_batch_invariance
from smoothing.randomness import draw_seed, generator_for
from smoothing.regions import (
    BrokenInvariant,
    Distance,
    Reconciled,
    Region,
    Undecidable,
    distance,
    reconcile,
)
from smoothing.rounding import round_down
from smoothing.sampling import BaseClassifier, count_classes
from smoothing.schedule import Look, look_schedule, single_look, target_schedule
from smoothing.stopping import betting_lower_bound, hopeless, out_of_reach, own_radius

__all__ = [
    "AUTO_GRID",
    "BOUNDS",
    "BRANCHES",
    "NOISES",
    "NO_RADIUS",
    "BaseClassifier",
    "BatchDependentClassifier",
    "Bound",
    "BrokenInvariant",
    "Certification",
    "ClassifierFor",
    "Distance",
    "Gaussian",
    "HybridCertification",
    "InvalidLogits",
    "InvalidParameter",
    "Look",
    "Noise",
    "NoiseLevel",
    "NonFiniteGradient",
    "NonFiniteLogits",
    "NotAdaptable",
    "Prediction",
    "Radii",
    "Reconciled",
    "Region",
    "Segment",
    "SmoothingError",
    "Statistics",
    "Trial",
    "Undecidable",
    "Uniform",
    "UnusableClassifier",
    "Votes",
    "adaptable",
    "auto_noise",
    "batch_norm_layers",
    "betting_lower_bound",
    "branch_seed",
    "certify",
    "certify_hybrid",
    "check_batch_invariance",
    "combine",
    "combine_predictions",
    "count_classes",
    "distance",
    "draw_seed",
    "estimate_statistics",
    "generator_for",
    "hopeless",
    "joint_upper_confidence_bound",
    "look_schedule",
    "lower_confidence_bound",
    "minimum_samples",
    "one_sided",
    "optimize_sigma",
    "out_of_reach",
    "own_radius",
    "perfect_vote_p_lower",
    "predict",
    "reconcile",
    "round_down",
    "single_look",
    "split_alpha",
    "t_certify",
    "target_schedule",
    "two_sided",
    "upper_confidence_bound",
    "with_statistics",
]
