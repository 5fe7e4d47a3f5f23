"""Checks the memory's part of a claim, as far as that is possible without the memory itself."""

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Final

from contract.certificates import Certificate, Check, Memory, Radius
from contract.choices import MemoryOutcome, NoiseKind
from service.verification.evidence import check

NOTHING: Final = Radius(l2=0, l1=0, linf=0)
_STORED: Final = (MemoryOutcome.ADDED, MemoryOutcome.CLIPPED, MemoryOutcome.REPEATED)


def combined(choose: Callable[[list[float]], float], radii: list[Radius]) -> Radius:
    """Chooses a radius in each norm separately."""
    return Radius(
        l2=choose([radius.l2 for radius in radii]),
        l1=choose([radius.l1 for radius in radii]),
        linf=choose([radius.linf for radius in radii]),
    )


def within(least: Radius, radius: Radius, most: Radius) -> bool:
    """Whether a radius lies between two others in each norm."""
    return combined(max, [least, radius]) == radius == combined(min, [radius, most])


def radius_limits(certificate: Certificate, proved: Radius) -> tuple[Radius, Radius]:
    """Returns the smallest and largest radius that may be stated, given the radius that the votes prove.

    Without a memory, both are the proved radius. With the outcome `none`, nothing may be claimed. A memory
    that stores the region may clip it, unless the outcome is `added`, and may add what older regions
    guarantee. A relabelled result has only the latter.
    """
    memory, outcome = certificate.memory, certificate.memory.outcome
    if outcome is MemoryOutcome.OFF:
        return proved, proved
    if outcome is MemoryOutcome.NONE:
        return NOTHING, NOTHING
    inherited = memory.inherited or NOTHING
    if outcome is MemoryOutcome.RELABELLED:
        return NOTHING, inherited
    least = _own_norms(certificate, proved) if outcome is MemoryOutcome.ADDED else NOTHING
    return least, combined(max, [proved, inherited])


def memory_check(certificate: Certificate) -> Check:
    """Checks what is stated about the memory."""
    memory = certificate.memory
    if memory.outcome is MemoryOutcome.OFF:
        stated = (memory.namespace, memory.epoch, memory.index, memory.inherited)
        message = "no memory was used, and none is stated"
        return check("memory", message, stated == (None,) * 4, not memory.neighbours)
    return check("memory", _words(memory), *_conditions(certificate, memory))


def _own_norms(certificate: Certificate, proved: Radius) -> Radius:
    """The least radius of a region that was not clipped: all that was proved in the noises' own norms."""
    noises = {evidence.noise for evidence in certificate.noise}
    l2 = proved.l2 if NoiseKind.GAUSSIAN in noises else 0
    return Radius(l2=l2, l1=proved.l1 if NoiseKind.UNIFORM in noises else 0, linf=0)


def _words(memory: Memory) -> str:
    where = f"memory '{memory.namespace}', epoch {memory.epoch}"
    if memory.outcome is MemoryOutcome.NONE:
        return f"{where}: it has no region around the image, so nothing is claimed and nothing was stored"
    deciding = ", ".join(map(str, memory.neighbours)) or "none"
    return (
        f"{where}: {memory.outcome.value} as region {memory.index}, decided by regions: {deciding}; "
        f"the memory's part cannot be recomputed from votes; `radii memory check` does it"
    )


def _conditions(certificate: Certificate, memory: Memory) -> Iterator[bool]:
    outcome, neighbours = memory.outcome, memory.neighbours
    yield bool(memory.namespace)
    yield all(place >= 0 for place in neighbours) and len(set(neighbours)) == len(neighbours)
    yield certificate.abstained is (outcome is MemoryOutcome.NONE)
    if outcome is MemoryOutcome.NONE:
        yield memory.index is None and memory.inherited is None and not neighbours
        return
    yield bool(memory.epoch)
    yield memory.index is not None if outcome in _STORED else True
    # A region is stored after those that it is reconciled with.
    new = memory.index is not None and outcome is not MemoryOutcome.REPEATED
    yield (memory.index or 0) >= 0 and (not new or max(neighbours, default=-1) < (memory.index or 0))
    if outcome in (MemoryOutcome.CLIPPED, MemoryOutcome.RELABELLED):
        yield bool(neighbours)
    if outcome is MemoryOutcome.RELABELLED:
        yield memory.inherited is not None
    if memory.inherited is not None:
        inherited = memory.inherited
        yield all(isfinite(one) and one >= 0 for one in (inherited.l2, inherited.l1, inherited.linf))
