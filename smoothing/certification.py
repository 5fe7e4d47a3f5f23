"""What a certificate says, with the votes and bounds that it follows from."""

from dataclasses import dataclass
from typing import Literal

from smoothing.bounds import Bound, Counts
from smoothing.noises.base import Noise, Radii
from smoothing.votes import Segments

StopReason = Literal["complete", "target_reached", "target_out_of_reach", "hopeless", "stopped"]


@dataclass(frozen=True, eq=False)
class Certification:
    """A class, radii, and everything needed to compute them again from the votes, and to draw those again.

    Attributes:
        radius: In each norm, in pixel units, float64; 0 where abstained. Round it down before it is shown.
        bound: The bound on the class probabilities that the radius follows from.
        bound_name: Its name in ``BOUNDS``.
        counts: Estimation votes per class ``(k,)`` at the look that the radius follows from.
        look_alpha: Failure probability spent on that look.
        alpha: Failure probability of all looks together: of the certificate.
        target_radius: The radius asked for, in the noise's own norm; None when the largest was.
        noise: The noise of the smoothed classifier.
        dimension: Number of coordinates of the image, c·h·w.
        seed: Of all random streams: 128 bits, given or drawn.
        selection_counts: Selection votes per class ``(k,)``.
        n_drawn: Estimation votes drawn so far.
        selection_segments: How ``selection_counts`` were drawn.
        segments: How all ``n_drawn`` estimation votes were drawn; ``counts`` may be the first of them only.
        stop_reason: Why no more votes were drawn. ``"complete"``: all were. ``"target_reached"``,
            ``"target_out_of_reach"``: the target radius is certified, or will not be. ``"hopeless"``: no
            radius will be. ``"stopped"``: the deadline passed, or sampling continues (in ``on_look``).
        exact: Whether the noise was exact: the image was bytes. If not, floating-point noise kept low bits of
            the image, and the certificate is true only of a classifier that does not read them.
    """

    radius: Radii
    bound: Bound
    bound_name: str
    counts: Counts
    look_alpha: float
    alpha: float
    target_radius: float | None
    noise: Noise
    dimension: int
    seed: int
    selection_counts: Counts
    n_drawn: int
    selection_segments: Segments = ()
    segments: Segments = ()
    stop_reason: StopReason = "stopped"
    exact: bool = False

    @property
    def own_radius(self) -> float:
        """The radius in the noise's own norm, the one that its theorem is about."""
        return self.noise.own_radius(self.radius)

    @property
    def top_class(self) -> int:
        """The class most often voted for in the selection votes."""
        return self.bound.top_class

    @property
    def abstained(self) -> bool:
        """Whether the top class could not be proved the most probable one."""
        return not self.bound.certifies

    @property
    def n(self) -> int:
        """Estimation votes at the look that the radius follows from."""
        return int(self.counts.sum())
