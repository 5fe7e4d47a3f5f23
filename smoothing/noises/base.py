"""What a noise is: a sampler together with the radii that its votes prove."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from smoothing.errors import require, require_number
from smoothing.lattice.law import LatticeLaw, lattice_error
from smoothing.rounding import round_down


@dataclass(frozen=True)
class Radii:
    """Certified radius in each norm, in pixel units: within each ball the class cannot change."""

    l2: float
    l1: float
    linf: float

    def rounded_down(self) -> "Radii":
        """The same claim with six decimal places, never larger."""
        return Radii(*map(round_down, (self.l2, self.l1, self.linf)))


NO_RADIUS = Radii(l2=0.0, l1=0.0, linf=0.0)


@dataclass(frozen=True)
class Noise(ABC):
    """Zero-mean noise, independent in each coordinate, with the theorem that turns its votes into radii.

    Sampler and theorem live in one class so that the votes of one noise are never paired with the radius of
    another. Noise is never clipped: the theorems are about image + noise, wherever that lies.

    Attributes:
        name: Public name, the key in ``NOISES``.
        norms: The norms it proves radii in, the one its theorem is about first.
        sigma: Standard deviation in each coordinate, pixel units.

    Raises:
        InvalidParameter: ``sigma`` is no positive, finite number.
    """

    name: ClassVar[str]
    norms: ClassVar[tuple[str, ...]]

    sigma: float

    def __post_init__(self) -> None:
        require_number(self.sigma, "sigma")
        require(self.sigma > 0.0, "sigma", "be > 0", self.sigma)
        require(math.isfinite(self.sigma), "sigma", "be finite", self.sigma)

    @abstractmethod
    def fill_(self, out: Tensor, *, generator: torch.Generator) -> Tensor:
        """Overwrite ``out`` with fresh noise and return it."""

    @abstractmethod
    def on_lattice(self) -> Self:
        """The nearest of these noises that whole steps of an image of bytes can have."""

    @abstractmethod
    def law(self) -> LatticeLaw:
        """The law of the number of steps that ``on_lattice`` moves each coordinate by."""

    @abstractmethod
    def cells(self) -> int:
        """At least as many as the numbers of steps in ``law``, without making it."""

    def lattice_error(self, dimension: int) -> float:
        """τ: how far the law of an image's exact noise, as it is drawn, is from the stated one, at most.

        In total variation. Votes are drawn under the former, so their bounds on a probability are widened by
        τ: a probability differs by no more.

        Args:
            dimension: Coordinates of an image, c·h·w.
        """
        return lattice_error(self.cells(), dimension)

    @abstractmethod
    def _radii(self, p_lower: float, p_upper: float, dimension: int) -> Radii:
        """The theorem, for 0 < p_upper < p_lower < 1."""

    def sample(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Fresh noise of the given shape, in pixel units.

        Args:
            shape: Any shape, such as ``(b, c, h, w)``.
            generator: Source of the draws, on the device where the noise is made.
            dtype: A floating type.
        """
        out = torch.empty(tuple(shape), device=generator.device, dtype=dtype)
        return self.fill_(out, generator=generator)

    def radius(self, p_lower: float, p_upper: float, *, dimension: int) -> Radii:
        """Radii within which the smoothed classifier's class is proved constant; 0 where p_lower <= p_upper.

        Args:
            p_lower: Lower bound on the top class's probability, in [0, 1).
            p_upper: Upper bound on every other class's probability, in (0, 1].
            dimension: Number of coordinates of an image, c·h·w.

        Raises:
            InvalidParameter: An argument is out of range. Finitely many votes never prove a probability of
                1 or 0, so those are refused instead of being turned into an infinite radius.
        """
        require(0.0 <= p_lower < 1.0, "p_lower", "be in [0, 1)", p_lower)
        require(0.0 < p_upper <= 1.0, "p_upper", "be in (0, 1]", p_upper)
        require(dimension >= 1, "dimension", "be >= 1", dimension)
        return self._radii(p_lower, p_upper, dimension) if p_lower > p_upper else NO_RADIUS

    def own_radius(self, radii: Radii) -> float:
        """The radius in this noise's own norm, ``norms[0]``: the one that its theorem is about.

        >>> from smoothing import Gaussian
        >>> Gaussian(0.5).own_radius(Radii(l2=0.3, l1=0.3, linf=0.1))
        0.3
        """
        return float(getattr(radii, self.norms[0]))


def require_noise(noise: object) -> None:
    """Refuse what is no noise.

    Raises:
        InvalidParameter: It is of another type.
    """
    require(isinstance(noise, Noise), "noise", "be a noise such as Gaussian(0.25)", noise)
