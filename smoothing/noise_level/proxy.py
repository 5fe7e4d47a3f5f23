"""The objective of OptimizeSigma: a smooth stand-in for the radius."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from smoothing.errors import require
from smoothing.noises.base import Noise

CLAMP = (0.02, 0.98)
"""The paper's limits on the arguments of Φ⁻¹, whose slope is unbounded towards 0 and 1."""


def _gaussian(top: Tensor, other: Tensor, sigma: Tensor) -> Tensor:
    above, below = (torch.special.ndtri(value.clamp(*CLAMP)) for value in (top, other))
    return sigma.mul(above - below) / 2.0


def _uniform(top: Tensor, other: Tensor, sigma: Tensor) -> Tensor:
    return math.sqrt(3.0) * sigma * (top - other)  # λ = √3·σ


_PROXIES: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"gaussian": _gaussian, "uniform": _uniform}
)


def soft_proxy_radius(probabilities: Tensor, sigma: Tensor, noise: type[Noise]) -> Tensor:
    """The objective of OptimizeSigma, differentiable in both arguments; it is not a certified radius.

    Gaussian noise: σ/2 · (Φ⁻¹(E_A) − Φ⁻¹(E_B)) with arguments clamped to [0.02, 0.98]; uniform noise:
    λ · (E_A − E_B), λ = √3·σ. E_A is the largest and E_B the second largest of the ``probabilities``.

    Args:
        probabilities: ``(m, k)``, for each image the mean over noisy copies of the class probabilities.
        sigma: ``(m,)``, pixel units.
        noise: Kind of noise.

    Returns:
        ``(m,)``, pixel units, in the noise's own norm.

    Raises:
        InvalidParameter: There is no such objective for this noise.

    Reference:
        Alfarra, Bibi, Torr & Ghanem, "Data Dependent Randomized Smoothing", UAI 2022, equation 3 and
        appendix G.

    >>> from smoothing import Gaussian
    >>> probabilities = torch.tensor([[0.9, 0.06, 0.04]], dtype=torch.float64)
    >>> round(float(soft_proxy_radius(probabilities, torch.tensor([0.5]), Gaussian)), 4)
    0.7091
    """
    require(noise.name in _PROXIES, "noise", f"be one of {', '.join(_PROXIES)}", noise.name)
    top = probabilities.topk(2, dim=1).values
    return _PROXIES[noise.name](top[:, 0], top[:, 1], sigma)
