"""What the memory of certified regions may make of a claim: its part cannot be computed again from votes."""

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Final

from contract.certificates import Certificate, Check, Memory, Radius
from contract.choices import MemoryOutcome, NoiseKind
from service.verification.evidence import check

NOTHING: Final = Radius(l2=0, l1=0, linf=0)
_STORED: Final = (MemoryOutcome.ADDED, MemoryOutcome.CLIPPED, MemoryOutcome.REPEATED)


def combined(choose: Callable[[list[float]], float], radii: list[Radius]) -> Radius:
    """Chooses in each norm by itself."""
    return Radius(
        l2=choose([radius.l2 for radius in radii]),
        l1=choose([radius.l1 for radius in radii]),
        linf=choose([radius.linf for radius in radii]),
    )


def within(least: Radius, radius: Radius, most: Radius) -> bool:
    """Whether a radius lies between two others in each norm."""
    return combined(max, [least, radius]) == radius == combined(min, [radius, most])


def radius_limits(certificate: Certificate, proved: Radius) -> tuple[Radius, Radius]:
    """Returns the least and the largest radius that may be stated where the votes prove this one.

    Without a memory that is the proved one. A memory that holds nothing about the image keeps nothing that
    could be claimed. One that stores the answer may cut it, unless it says that it did not, and may add what
    older regions promise; a label of its own has only the latter.
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
    """Checks what is stated of the memory, as far as it can be known without it."""
    memory = certificate.memory
    if memory.outcome is MemoryOutcome.OFF:
        stated = (memory.namespace, memory.epoch, memory.index, memory.inherited)
        message = "no memory was asked, and none is told of"
        return check("memory", message, stated == (None,) * 4, not memory.neighbours)
    return check("memory", _words(memory), *_conditions(certificate, memory))


def _own_norms(certificate: Certificate, proved: Radius) -> Radius:
    """In the norms that the noises are about, a region that was not cut is all of what was proved."""
    noises = {evidence.noise for evidence in certificate.noise}
    l2 = proved.l2 if NoiseKind.GAUSSIAN in noises else 0
    return Radius(l2=l2, l1=proved.l1 if NoiseKind.UNIFORM in noises else 0, linf=0)


def _words(memory: Memory) -> str:
    where = f"memory '{memory.namespace}', epoch {memory.epoch}"
    if memory.outcome is MemoryOutcome.NONE:
        return f"{where}: it held nothing about the image, so nothing is claimed and nothing was stored"
    return (
        f"{where}: {memory.outcome.value} as region {memory.index}, decided by regions {memory.neighbours}; "
        f"what rests on the memory cannot be computed again from votes, but by `radii memory check`"
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
