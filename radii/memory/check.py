"""Replays a memory's log from its beginning: whether it is complete, and whether its regions agree."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from contract.choices import MemoryOutcome
from contract.keys import pixel_digest
from contract.regions import StoredRegion
from radii.memory.geometry import Balls
from radii.memory.pairs import Comparison, Pair, Regions, compare, pairs_in_all
from radii.memory.reading import MemoryLog

_STORED: Final = (MemoryOutcome.ADDED, MemoryOutcome.CLIPPED, MemoryOutcome.RELABELLED)

Report = Callable[[str, int, int], None]
"""Called with the name of a step, the progress since the last call, and the total."""


@dataclass(frozen=True)
class Verdict:
    """The result of a replay.

    Attributes:
        regions: Number of readable records.
        comparison: Of all regions with a valid record and centre.
        violations: One message per fault, with the places of the regions; empty if everything holds.
    """

    regions: int
    comparison: Comparison
    violations: list[str]


def replay(log: MemoryLog, report: Report = lambda _what, _done, _total: None) -> Verdict:
    """Checks a log: its chain, its records, its centres, and that no two labels share a point.

    Raises:
        CommandError: The memory was wiped during the replay.
    """
    chain, faults = _Chain(), list[str]()
    stored = dict(_readable(log, chain, faults, report))
    centers = _Centers(log, stored, faults, report)
    log.require_same()
    comparison = compare(
        centers.regions(stored), lambda done: report("pairs", done, pairs_in_all(len(centers.rows)))
    )
    overlaps = [_overlap(stored, pair) for pair in comparison.overlapping]
    return Verdict(len(stored), comparison, chain.faults(log) + faults + overlaps)


class _Chain:
    """The hash over all records in order: after each, that of the one before and the record."""

    def __init__(self) -> None:
        self._links = [""]

    def add(self, record: bytes) -> None:
        link = hashlib.sha1(self._links[-1].encode() + record, usedforsecurity=False)
        self._links.append(link.hexdigest())

    def faults(self, log: MemoryLog) -> list[str]:
        """What is wrong with the state that is stored beside the records."""
        state, found = log.state, []
        if state.epoch is None and state.length:
            found.append(f"there is no epoch, and {state.length} regions")
        if state.head != self._links[-1]:
            if state.head in self._links:
                place = self._links.index(state.head)
                found.append(f"the chain is that of the first {place} records, and there are {state.length}")
            else:
                found.append(f"the chain over the records is {self._links[-1]!r}, got {state.head!r}")
        return found


def _readable(
    log: MemoryLog, chain: _Chain, faults: list[str], report: Report
) -> Iterator[tuple[int, StoredRegion]]:
    """Gives the records that can be read and say what a record may say, by their places."""
    places: dict[str, int] = {}
    for index, record in enumerate(log.records()):
        chain.add(record)
        report("records", 1, log.state.length)
        try:
            region = StoredRegion.model_validate_json(record)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "its text"
            faults.append(f"region {index}: its record cannot be read, {where} is wrong")
            continue
        faults += [f"region {index}: {words}" for words in _wrong(region)]
        first = places.setdefault(region.certificate_id, index)
        if first != index:
            faults.append(f"regions {first} and {index} are of one certificate, {region.certificate_id}")
        if not any(_wrong(region)):
            yield index, region


def _wrong(region: StoredRegion) -> Iterator[str]:
    """Says which fields of a record break a rule."""
    if region.label < 0:
        yield f"'label' must be >= 0, got {region.label}"
    for name, radius in (("l2", region.l2), ("l1", region.l1)):
        if not (math.isfinite(radius) and radius >= 0):
            yield f"'{name}' must be finite and >= 0, got {radius}"
    if region.outcome not in _STORED:
        yield f"'outcome' must be one of {', '.join(_STORED)}, got {region.outcome}"


class _Centers:
    """The centres of the regions: each once, each the image that it should be."""

    def __init__(
        self, log: MemoryLog, stored: dict[int, StoredRegion], faults: list[str], report: Report
    ) -> None:
        self._shape: tuple[int, int, int] | None = None
        self._pixels: list[bytes] = []
        self.rows: dict[int, int] = {}
        rows: dict[str, int | str] = {}
        digests = list(dict.fromkeys(region.image_digest for region in stored.values()))
        for digest, pixels in zip(digests, log.centers(digests), strict=True):
            rows[digest] = self._take(digest, pixels)
            report("centres", 1, len(digests))
        for index, region in stored.items():
            row = rows[region.image_digest]
            if isinstance(row, str):
                faults.append(f"region {index}: {row}")
            else:
                self.rows[index] = row

    def regions(self, stored: dict[int, StoredRegion]) -> Regions:
        """Those whose centres are right."""
        chosen = [stored[index] for index in self.rows]
        return Regions(
            places=list(self.rows),
            labels=np.array([region.label for region in chosen], dtype=np.int64),
            rows=np.array(list(self.rows.values()), dtype=np.int64),
            centers=self._matrix(),
            balls=[Balls.of_radii(region.l2, region.l1) for region in chosen],
        )

    def _take(self, digest: str, pixels: bytes | None) -> int | str:
        """Returns the row of a centre, or its fault."""
        if pixels is None:
            return f"its centre is missing, image {digest}"
        if self._shape is None:
            fitting = (one for one in _shapes(len(pixels)) if pixel_digest(pixels, *one) == digest)
            self._shape = next(fitting, None)
        if self._shape is None or pixel_digest(pixels, *self._shape) != digest:
            return f"its centre is not the image {digest}"
        self._pixels.append(pixels)
        return len(self._pixels) - 1

    def _matrix(self) -> NDArray[np.uint8]:
        joined = np.frombuffer(b"".join(self._pixels), dtype=np.uint8)
        return joined.reshape(len(self._pixels), -1) if self._pixels else joined.reshape(0, 1)


def _shapes(size: int) -> Iterator[tuple[int, int, int]]:
    """Yields every height, width and number of channels of an image with this many bytes.

    The digest covers the shape, which the memory does not hold: the right one is the one that fits.
    """
    divisors = [divisor for divisor in range(1, size + 1) if size % divisor == 0]
    for channels in divisors:
        for height in divisors:
            if size % (channels * height) == 0:
                yield height, size // (channels * height), channels


def _overlap(stored: dict[int, StoredRegion], pair: Pair) -> str:
    one, other, gap = stored[pair.first], stored[pair.second], pair.gap
    how = f"overlap by {-gap.size:.3g}" if gap.size else "touch"
    return (
        f"regions {pair.first} and {pair.second} {how} in {gap.norm}: labels {one.label} and {other.label}, "
        f"l2 radii {one.l2} and {other.l2}, l1 radii {one.l1} and {other.l1}"
    )
