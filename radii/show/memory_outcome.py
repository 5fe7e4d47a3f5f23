"""What the memory of certified regions did to an answer, and what it adds to the claim, in words."""

from contract.certificates import Memory
from contract.choices import MemoryOutcome
from radii.show.numbers import floor


def what_it_did(memory: Memory) -> str | None:
    """Returns what the memory did, or None when it did nothing.

    >>> asked = {"namespace": "mine", "epoch": "e", "index": 15, "neighbours": [12], "inherited": None}
    >>> what_it_did(Memory(outcome=MemoryOutcome.CLIPPED, **asked))
    "clipped by region 12 of another label; stored as region 15 of 'mine'"
    >>> what_it_did(Memory(outcome=MemoryOutcome.REPEATED, **asked))
    "answered from memory, region 15 of 'mine'"
    """
    outcome, stored = memory.outcome, f"region {memory.index} of '{memory.namespace}'"
    if outcome is MemoryOutcome.REPEATED:
        places = memory.neighbours if memory.index is None else [memory.index]
        return f"answered from memory, {_regions(places)} of '{memory.namespace}'"
    if outcome is MemoryOutcome.ADDED:
        return f"stored as {stored}{_promised(memory)}"
    if outcome is MemoryOutcome.CLIPPED:
        words = f"clipped by {_regions(memory.neighbours)} of another label; stored as {stored}"
        return words + _promised(memory)
    if outcome is MemoryOutcome.RELABELLED:
        contain = "contains" if len(memory.neighbours) == 1 else "contain"
        words = f"the label comes from {_regions(memory.neighbours)}, which {contain} this image"
        return f"{words}; {'nothing stored' if memory.index is None else f'stored as {stored}'}"
    return None


def what_it_promises(memory: Memory) -> str | None:
    """Returns whose answers a claim is about, and for how long; None when the memory promises nothing."""
    if memory.outcome in (MemoryOutcome.OFF, MemoryOutcome.NONE):
        return None
    return f"every later answer of this deployment (memory '{memory.namespace}', epoch {memory.epoch})"


def _promised(memory: Memory) -> str:
    if memory.inherited is None:
        return ""
    sizes = f"ℓ2 {floor(memory.inherited.l2)}, ℓ1 {floor(memory.inherited.l1)}"
    return f"; regions that contain this image promise its label within {sizes}, whatever its votes say"


def _regions(places: list[int]) -> str:
    """Names regions by their places.

    >>> _regions([3]), _regions([3, 5, 8])
    ('region 3', 'regions 3, 5 and 8')
    """
    if len(places) < 2:
        return f"region {places[0]}" if places else "no region"
    *most, last = map(str, places)
    return f"regions {', '.join(most)} and {last}"
