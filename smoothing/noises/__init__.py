"""Noises by name; each owns its sampler and the radii it proves."""

from collections.abc import Mapping
from types import MappingProxyType

from smoothing.noises.base import NO_RADIUS, Noise, Radii
from smoothing.noises.gaussian import Gaussian
from smoothing.noises.uniform import Uniform

NOISES: Mapping[str, type[Noise]] = MappingProxyType({"gaussian": Gaussian, "uniform": Uniform})
"""Every noise by its public name."""

__all__ = ["NOISES", "NO_RADIUS", "Gaussian", "Noise", "Radii", "Uniform"]
