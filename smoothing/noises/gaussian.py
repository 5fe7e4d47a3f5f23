"""Gaussian noise, which proves ℓ2 radii."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy import special
from torch import Tensor

from smoothing.lattice.law import LatticeLaw, gaussian_cells, gaussian_law
from smoothing.noises.base import Noise, Radii


@dataclass(frozen=True)
class Gaussian(Noise):
    """N(0, σ²I): R = σ/2 · (Φ⁻¹(p_lower) − Φ⁻¹(p_upper)) in ℓ2, the largest that the two probabilities allow.

    The same number is an ℓ1 radius, since ‖δ‖₂ ≤ ‖δ‖₁, and R/√d is an ℓ∞ radius, since ‖δ‖₂ ≤ √d·‖δ‖∞.

    Draws in floating point are torch's, by the Box–Muller transform in the image's precision: in float32 on
    the CPU no draw lies beyond 5.8σ, where the Gaussian has 8e-9 of its mass.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        Theorems 1, 2.

    >>> Gaussian(sigma=0.5).radius(0.9, 0.1, dimension=784).rounded_down()
    Radii(l2=0.640775, l1=0.640775, linf=0.022884)
    """

    name: ClassVar[str] = "gaussian"
    norms: ClassVar[tuple[str, ...]] = ("l2", "l1", "linf")

    def fill_(self, out: Tensor, *, generator: torch.Generator) -> Tensor:
        """Overwrite ``out`` with fresh noise and return it."""
        return out.normal_(0.0, self.sigma, generator=generator)

    def on_lattice(self) -> "Gaussian":
        """Itself: rounding a continuous law to whole steps does not change it."""
        return self

    def law(self) -> LatticeLaw:
        """N = round(steps·ε)."""
        return gaussian_law(self.sigma)

    def cells(self) -> int:
        """Numbers of steps within 9.2σ."""
        return gaussian_cells(self.sigma)

    def _radii(self, p_lower: float, p_upper: float, dimension: int) -> Radii:
        l2 = self.sigma / 2.0 * float(special.ndtri(p_lower) - special.ndtri(p_upper))
        return Radii(l2=l2, l1=l2, linf=l2 / math.sqrt(dimension))
