"""An engine's copy of one memory: enough of every region to find those that matter to an image.

Of each region it keeps label, radii and two sketches of its centre, a coarse and a fine one, whose distances
never exceed the centres' own. Only what both leave is compared exactly. There is no approximate index: a
neighbour that is missed is a false certificate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from redis import Redis

from contract.regions import StoredRegion
from smoothing.regions import CertifiedRegion, Distance, distance
from smoothing.regions.sketches import BlockGrid, l2_within
from workers.memory.store import Head, MemoryDamaged, RegionStore, chained

Pixels = NDArray[np.uint8]
"""An image ``(c, h, w)``."""

OnLoad = Callable[[int, int], None]
"""Called with the regions read so far and the regions in all."""

_CHUNK = 2_000  # regions read at a time
_COARSE, _FINE = 12, 64  # blocks of a sketch, at least, over all channels


@dataclass(frozen=True)
class Near:
    """A region near an image, and the distance from its centre."""

    index: int
    region: CertifiedRegion
    distance: Distance


class Mirror:
    """Follows one memory; `generation` changes when what was read before holds no more."""

    def __init__(self, store: RegionStore, shape: tuple[int, int, int]) -> None:
        self.store = store
        self.generation = 0
        self._shape = shape
        self._coarse, self._fine = (BlockGrid(shape, _cells(shape, blocks)) for blocks in (_COARSE, _FINE))
        self._clear()

    def _clear(self) -> None:
        self.generation += 1
        self.head = Head(None, "", 0)
        coarse = _Columns(self._coarse.fastest_type, self._coarse.size)  # each job reads all of it
        self._sketches = coarse, _Columns(np.int32, self._fine.size)
        self._radii = _Columns(np.float64, 2)  # l2, l1
        self._reach = _Columns(np.float32, 1)  # cover, rounded up
        self._labels = _Columns(np.int32, 1)
        self._digests = _Columns(np.uint8, 32)
        self._questions = _Columns(np.uint8, 32)

    def __len__(self) -> int:
        """Regions read so far."""
        return self.head.length

    @property
    def nbytes(self) -> int:
        """Bytes that the regions take here."""
        columns = (*self._sketches, self._radii, self._reach, self._labels, self._digests, self._questions)
        return sum(column.values.nbytes for column in columns)

    def sync(self, on_load: OnLoad | None = None) -> None:
        """Reads what was appended since; everything, if the memory was wiped or has lost regions.

        Raises:
            MemoryDamaged: Records, head and centres do not belong together.
        """
        whole = self.head.length == 0
        while True:
            state, records = self.store.read(self.head.length, _CHUNK)
            if state.epoch != self.head.epoch and self.head.length > 0:
                self._clear()
                whole = True
                continue
            self._append(records, state)
            if on_load is not None and state.length > _CHUNK:
                on_load(self.head.length, state.length)
            if self.head.length < state.length and records:
                continue
            if (self.head.length, self.head.chain) == (state.length, state.chain):
                return
            if whole:
                raise MemoryDamaged(
                    f"memory {self.store.name}: its log is not the one that its head is about"
                )
            self._lost()
            whole = True

    def _lost(self) -> None:
        """Another log under the same epoch: regions that were promised are gone, so the epoch has to go."""
        if self.head.epoch is not None:
            self.store.renew(self.head.epoch)
        self._clear()

    def _append(self, records: Sequence[bytes], state: Head) -> None:
        chain = self.head.chain
        for record in records:
            chain = chained(chain, record)
        if records:
            self._read([StoredRegion.model_validate_json(record) for record in records])
        self.head = Head(state.epoch, chain, self.head.length + len(records))

    def _read(self, regions: Sequence[StoredRegion]) -> None:
        pixels = self.store.centers([region.image_digest for region in regions])
        size = self._shape[0] * self._shape[1] * self._shape[2]
        if any(len(one) != size for one in pixels):
            raise MemoryDamaged(f"memory {self.store.name} has a centre that is no image {self._shape}")
        images = np.stack([self.image(one) for one in pixels])
        for grid, sketches in zip((self._coarse, self._fine), self._sketches, strict=True):
            sketches.extend(grid.sketch(images))
        radii = np.array([[region.l2 for region in regions], [region.l1 for region in regions]])
        self._radii.extend(radii)
        self._reach.extend(_up(radii.max(axis=0))[None])
        self._labels.extend(np.array([[region.label for region in regions]]))
        self._digests.extend(_hashes([region.image_digest for region in regions]))
        self._questions.extend(_hashes([region.question for region in regions]))

    def image(self, pixels: bytes) -> Pixels:
        """Returns pixels as they are stored as an image of the model."""
        return as_image(pixels, self._shape)

    def near(self, image: Pixels, reach: float, start: int = 0) -> list[Near]:
        """Returns every region, from ``start`` on, that a ball of this ℓ2 radius round the image may touch.

        Args:
            image: ``(c, h, w)``.
            reach: Pixel units; 0 asks for the regions that may hold the image itself.
            start: Where to begin.
        """
        limits = _up(np.float64(reach) + self._reach.values[0, start:].astype(np.float64))
        places = np.arange(start, len(self))
        for grid, sketches in zip((self._coarse, self._fine), self._sketches, strict=True):
            own = grid.sketch(image[None])[:, 0]
            left = (
                sketches.values[:, start:] if len(places) == len(self) - start else sketches.values[:, places]
            )
            kept = l2_within(left, own, grid.counts, limits)
            places, limits = places[kept], limits[kept]
        digests = [self._digests.values[:, place].tobytes().hex() for place in places]
        found = []
        for place, pixels in zip(places, self.store.centers(digests), strict=True):
            apart = distance(image, self.image(pixels))
            region = self._region(int(place))
            if apart.l2_low <= reach + region.cover:
                found.append(Near(int(place), region, apart))
        return found

    def same_question(self, image_digest: str, question: str) -> list[int]:
        """Returns the places of regions round this very image whose certificates were asked this question."""
        wanted = _hashes([image_digest])[:, 0], _hashes([question])[:, 0]
        digests, questions = self._digests.values, self._questions.values
        places = np.flatnonzero(digests[0] == wanted[0][0])
        for values, hashed in ((digests, wanted[0]), (questions, wanted[1])):
            places = places[(values[:, places] == hashed[:, None]).all(axis=0)]
        return [int(place) for place in places]

    def _region(self, place: int) -> CertifiedRegion:
        l2, l1 = (float(radius) for radius in self._radii.values[:, place])
        return CertifiedRegion(int(self._labels.values[0, place]), l2=l2, l1=l1)


class Mirrors:
    """Mirrors by model and namespace; those used last are kept, the others are read again."""

    def __init__(self, redis: Redis, capacity: int) -> None:
        self._redis = redis
        self._kept: LRUCache[tuple[str, str], Mirror] = LRUCache(capacity)

    def get(self, model_digest: str, namespace: str, shape: tuple[int, int, int]) -> Mirror:
        """Returns the mirror of one memory, as far as it was read before."""
        key = (model_digest, namespace)
        mirror = self._kept.get(key)
        if mirror is None:
            mirror = Mirror(RegionStore(self._redis, model_digest, namespace), shape)
            self._kept[key] = mirror
        return mirror

    def names(self) -> list[tuple[str, str]]:
        """Returns model digest and namespace of each memory that is kept."""
        return list(self._kept)


def as_image(pixels: bytes, shape: tuple[int, int, int]) -> Pixels:
    """Returns pixels as they are stored, ``(h, w, c)``, as an image of shape ``(c, h, w)``."""
    channels, height, width = shape
    return np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, channels).transpose(2, 0, 1)


class _Columns:
    """A matrix that grows by columns: one row per feature, so that a feature of all regions lies together."""

    def __init__(self, dtype: Any, rows: int) -> None:
        self._room = np.empty((rows, 1024), dtype=dtype)
        self._length = 0

    @property
    def values(self) -> NDArray[Any]:
        """The columns so far."""
        return self._room[:, : self._length]

    def extend(self, columns: NDArray[Any]) -> None:
        """Append columns ``(rows, m)``."""
        needed = self._length + columns.shape[1]
        if needed > self._room.shape[1]:
            room = np.empty(
                (self._room.shape[0], max(needed, self._room.shape[1] * 3 // 2)), self._room.dtype
            )
            room[:, : self._length] = self.values
            self._room = room
        self._room[:, self._length : needed] = columns
        self._length = needed


def _cells(shape: tuple[int, int, int], blocks: int) -> int:
    """The least cells per side that give at least this many blocks over all channels."""
    cells = 1
    while shape[0] * cells * cells < blocks:
        cells += 1
    return cells


def _up(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Float32 at or above the values."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _hashes(texts: Sequence[str]) -> NDArray[np.uint8]:
    """SHA-256 in hexadecimal as columns ``(32, m)``."""
    return np.frombuffer(bytes.fromhex("".join(texts)), dtype=np.uint8).reshape(len(texts), 32).T
