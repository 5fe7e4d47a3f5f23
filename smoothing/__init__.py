"""The guarantee: noises, bounds, votes and certificates for smoothed classifiers.

Start at ``SmoothedClassifier``, or at ``smoothing.certify``, which reads beside the paper's algorithm.
Nothing here reads files or settings, logs, or knows of services: images and classifiers come in as arguments,
results go out as frozen records.

::

    noises         Gaussian, Uniform: sampler and theorem      sampling, polling   votes, batch by batch
    lattice        exact noise for images of bytes             copies              image + noise, vote by vote
    bounds         from votes to class probabilities           stopping            looks, targets, deadlines
    noise_level    sigma for each image                        regions             the memory of certificates
    adaptation     batch-norm statistics under noise           hybrid              both noises together

Reference:
    Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019.
"""

from smoothing.adaptation import NotAdaptable, Statistics, adaptable, estimate_statistics, with_statistics
from smoothing.bounds import BOUNDS, perfect_vote_p_lower
from smoothing.certification import Certification
from smoothing.certify import certify
from smoothing.copies import NoisyCopies, noisy_copies
from smoothing.errors import InvalidParameter, SmoothingError, UnusableClassifier
from smoothing.hybrid import branch_seed, combine, combine_predictions
from smoothing.noise_level import auto_noise, optimize_sigma
from smoothing.noises import NOISES, Gaussian, Noise, Radii, Uniform
from smoothing.observer import Observer
from smoothing.predict import Prediction, predict
from smoothing.probe import check_batch_invariance
from smoothing.randomness import generator_for
from smoothing.regions import CertifiedRegion, distance, reconcile
from smoothing.rounding import round_down
from smoothing.sampling import count_classes
from smoothing.smoothed_classifier import SmoothedClassifier
from smoothing.stopping import Deadline, Look, Looks, Target, look_schedule, target_schedule
from smoothing.votes import Votes

__all__ = [
    "BOUNDS",
    "NOISES",
    "Certification",
    "CertifiedRegion",
    "Deadline",
    "Gaussian",
    "InvalidParameter",
    "Look",
    "Looks",
    "Noise",
    "NoisyCopies",
    "NotAdaptable",
    "Observer",
    "Prediction",
    "Radii",
    "SmoothedClassifier",
    "SmoothingError",
    "Statistics",
    "Target",
    "Uniform",
    "UnusableClassifier",
    "Votes",
    "adaptable",
    "auto_noise",
    "branch_seed",
    "certify",
    "check_batch_invariance",
    "combine",
    "combine_predictions",
    "count_classes",
    "distance",
    "estimate_statistics",
    "generator_for",
    "look_schedule",
    "noisy_copies",
    "optimize_sigma",
    "perfect_vote_p_lower",
    "predict",
    "reconcile",
    "round_down",
    "target_schedule",
    "with_statistics",
]
