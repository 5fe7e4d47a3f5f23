"""What the memory makes of an answer: its label and radii after reconciling, and the region to be stored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from certifier.verdict import NO_RADIUS, Statement, in_each_norm
from contract.certificates import Memory, Radius
from contract.choices import MemoryOutcome, NoiseKind
from smoothing import round_down
from smoothing.regions import CertifiedRegion, Undecidable, reconcile, remaining, surely_contains
from workers.memory.mirror import Mirror, Near, OnLoad, Pixels
from workers.memory.store import Head, new_epoch

_OUTCOMES = {
    "kept": MemoryOutcome.ADDED,
    "clipped": MemoryOutcome.CLIPPED,
    "relabelled": MemoryOutcome.RELABELLED,
}


@dataclass(frozen=True, kw_only=True)
class Placed(Statement):
    """A statement that agrees with everything that the memory holds.

    Attributes:
        region: What is to be stored; None if nothing.
        head: The state of the memory that all this is about.
    """

    region: CertifiedRegion | None
    head: Head


class Placement:
    """Places one answer; asked again after a conflict, it looks at the new regions only."""

    def __init__(
        self, mirror: Mirror, namespace: str, image: Pixels, noise: NoiseKind, finding: Statement
    ) -> None:
        self._mirror = mirror
        self._namespace = namespace
        self._image = image
        self._finding = finding
        self._answer = _region(noise, finding)
        self._first_epoch = new_epoch()  # if it is the first region of its memory
        self._near: list[Near] = []
        self._seen = 0
        self._generation = mirror.generation

    def place(self, on_load: OnLoad | None = None) -> Placed:
        """Returns the answer that agrees with the memory as it is now."""
        self._look(on_load)
        if self._answer is None:
            return self._without_votes()
        neighbours = [(near.region, near.distance) for near in self._near]
        try:
            reconciled = reconcile(self._answer, neighbours, dimension=self._image.size)
        except Undecidable:  # the image lies on two borders at once, but for rounding
            return self._nothing()
        region, outcome = reconciled.region, _OUTCOMES[reconciled.outcome]
        if outcome is not MemoryOutcome.ADDED:
            region = _rounded(region)
        radius = in_each_norm(min, self._published(region), self._finding.radius)
        decisive = [self._near[place].index for place in reconciled.decisive]
        holders, inherited = self._holders(region.label)
        if inherited is not None and outcome is not MemoryOutcome.RELABELLED:
            larger = in_each_norm(max, radius, inherited)
            decisive += [] if larger == radius else [near.index for near in holders]
            inherited = None if larger == radius else inherited
            radius = larger
        memory = self._memory(outcome, sorted(decisive), inherited, index=self._head.length)
        return Placed(region.label, radius, memory, region=region, head=self._head)

    def held(self, on_load: OnLoad | None = None) -> Placed:
        """Returns what the regions that hold the image say of it; no label, if none does."""
        self._look(on_load)
        return self._without_votes()

    def _look(self, on_load: OnLoad | None) -> None:
        self._mirror.sync(on_load)
        if self._generation != self._mirror.generation:
            self._near, self._seen, self._generation = [], 0, self._mirror.generation
        reach = 0.0 if self._answer is None else self._answer.cover
        self._near += self._mirror.near(self._image, reach, self._seen)
        self._seen = len(self._mirror)

    def _without_votes(self) -> Placed:
        """The label of the regions that surely hold the image: they promise it, however the votes went."""
        found = [near for near in self._near if surely_contains(near.region, near.distance)]
        if not found:
            return self._nothing()
        label = found[0].region.label
        holders, inherited = self._holders(label)
        assert inherited is not None  # noqa: S101 (its holders are there)
        memory = self._memory(MemoryOutcome.RELABELLED, [near.index for near in holders], inherited)
        return Placed(label, inherited, memory, region=None, head=self._head)

    def _nothing(self) -> Placed:
        return Placed(None, NO_RADIUS, self._memory(MemoryOutcome.NONE), region=None, head=self._head)

    def _memory(
        self,
        outcome: MemoryOutcome,
        neighbours: Sequence[int] = (),
        inherited: Radius | None = None,
        index: int | None = None,
    ) -> Memory:
        """What an answer says of the memory; no index where it adds no region."""
        return Memory(
            namespace=self._namespace,
            epoch=self._mirror.head.epoch if index is None else self._head.epoch,
            outcome=outcome,
            index=index,
            neighbours=list(neighbours),
            inherited=inherited,
        )

    def _holders(self, label: int) -> tuple[list[Near], Radius | None]:
        """The regions of this label that hold the image, and what they leave round it."""
        holders = [
            near
            for near in self._near
            if near.region.label == label and surely_contains(near.region, near.distance)
        ]
        if not holders:
            return [], None
        left = [remaining(near.region, near.distance, dimension=self._image.size) for near in holders]
        largest = CertifiedRegion(label, l2=max(one.l2 for one in left), l1=max(one.l1 for one in left))
        return holders, self._published(_rounded(largest))

    def _published(self, region: CertifiedRegion) -> Radius:
        """The largest ball of each norm inside the region: no more than this is promised."""
        root = math.sqrt(self._image.size)
        return Radius(
            l2=max(region.l2, round_down(region.l1 / root)),
            l1=max(region.l1, region.l2),
            linf=round_down(max(region.l2 / root, region.l1 / self._image.size)),
        )

    @property
    def _head(self) -> Head:
        head = self._mirror.head
        return Head(head.epoch or self._first_epoch, head.chain, head.length)


def _region(noise: NoiseKind, finding: Statement) -> CertifiedRegion | None:
    """What the votes certify: the ball of the noise's own norm, or both balls for a hybrid."""
    if finding.label is None:
        return None
    l2 = 0.0 if noise is NoiseKind.UNIFORM else finding.radius.l2
    l1 = 0.0 if noise is NoiseKind.GAUSSIAN else finding.radius.l1
    return CertifiedRegion(finding.label, l2=l2, l1=l1)


def _rounded(region: CertifiedRegion) -> CertifiedRegion:
    return CertifiedRegion(region.label, l2=round_down(region.l2), l1=round_down(region.l1))
