"""Choosing the noise level for each image: what is chosen says where to certify, and certifies nothing."""

from smoothing.noise_level.auto import auto_noise
from smoothing.noise_level.base import ChosenSigma, SigmaTrial
from smoothing.noise_level.optimize import optimize_sigma
from smoothing.noise_level.proxy import soft_proxy_radius

__all__ = [
    "ChosenSigma",
    "SigmaTrial",
    "auto_noise",
    "optimize_sigma",
    "soft_proxy_radius",
]
