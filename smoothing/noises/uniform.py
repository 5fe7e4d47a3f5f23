"""Uniform noise, which proves ℓ1 radii."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from smoothing.lattice.law import LatticeLaw, uniform_cells, uniform_law, uniform_law_size, uniform_sigma
from smoothing.noises.base import Noise, Radii


@dataclass(frozen=True)
class Uniform(Noise):
    """U[−λ, λ)^d with λ = √3·σ: R = λ · (p_lower − p_upper) in ℓ1, at most λ.

    A shift by δ changes each probability by at most the total variation between two cubes of side 2λ,
    V(δ) = 1 − Π(1 − |δ_i|/2λ), so the class cannot change while V(δ) < t = (p_lower − p_upper)/2 <= ½.

    - ℓ1: V(δ) <= Σ|δ_i|/2λ, with equality where one coordinate takes all, so R = 2λt.
    - ℓ∞: V is largest where every |δ_i| is the largest, so R∞ = 2λ(1 − (1 − t)^(1/d)).
    - ℓ2: let u_i = (δ_i/2λ)², whose sum is fixed. u ↦ ln(1 − √u) is convex on [0, ¼], that is for |δ_i| <= λ,
      so Σ ln(1 − √u_i) is least, and V largest, where all u_i are equal: R2 = √d·R∞. It is at most R <= λ,
      hence no |δ_i| in the ball exceeds λ. It is never below the usual conversion R/√d.

    Draws in floating point are torch's: multiples of 2λ·2⁻²⁴ in float32.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn & Li, "Randomized Smoothing of All Shapes and Sizes", ICML 2020
        (the uniform distribution for ℓ1); Nandi, Addepalli, Rangwani & Babu, "Certified Adversarial
        Robustness Within Multiple Perturbation Bounds", 2023, which takes R/√d in ℓ2.

    >>> Uniform(sigma=0.5).radius(0.9, 0.1, dimension=784).rounded_down()
    Radii(l2=0.031588, l1=0.69282, linf=0.001128)
    """

    name: ClassVar[str] = "uniform"
    norms: ClassVar[tuple[str, ...]] = ("l1", "l2", "linf")

    @property
    def half_width(self) -> float:
        """λ = √3·σ, pixel units: each coordinate moves by at most this much."""
        return math.sqrt(3.0) * self.sigma

    def fill_(self, out: Tensor, *, generator: torch.Generator) -> Tensor:
        """Overwrite ``out`` with fresh noise and return it."""
        return out.uniform_(-self.half_width, self.half_width, generator=generator)

    def on_lattice(self) -> "Uniform":
        """U[−λ, λ) with λ = (2L + 1)/(2·steps), whose whole steps are uniform on −L..L."""
        return Uniform(uniform_sigma(*uniform_law_size(self.sigma)))

    def law(self) -> LatticeLaw:
        """N uniform on −L..L."""
        return uniform_law(self.sigma)

    def cells(self) -> int:
        """At least 2L + 1."""
        return uniform_cells(self.sigma)

    def _radii(self, p_lower: float, p_upper: float, dimension: int) -> Radii:
        variation = (p_lower - p_upper) / 2.0
        linf = -2.0 * self.half_width * math.expm1(math.log1p(-variation) / dimension)
        l1 = 2.0 * self.half_width * variation
        return Radii(l2=math.sqrt(dimension) * linf, l1=l1, linf=linf)
