"""A worker's last step alone, over and over: reconcile with the memory and commit, all workers in the same instant.

Run as ``python -m tests.end_to_end.committing URL NUMBER JOBS FILE``. Jobs that succeeded are written to the
file; after a crash it goes on with the first that did not.
"""

import os
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from certifier import Statement
from contract import keys
from contract.certificates import Radius
from contract.choices import NoiseKind, Stage
from contract.jobs import Progress
from contract.keys import pixel_digest
from contract.regions import StoredRegion
from workers.memory.commit import Addition, CommitOutcome, commit
from workers.memory.mirror import Mirror
from workers.memory.placement import Placed, Placement
from workers.memory.store import RegionStore

MODEL = "c" * 64
NAMESPACE = "chaos"
SHAPE = (1, 2, 3)
TICK = 0.01
"""Every worker commits at the next multiple of this many seconds."""


def main() -> None:
    url, number, jobs, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    done = len(file.read_text().split()) if file.exists() else 0
    with file.open("a", encoding="ascii") as succeeded:
        while done < jobs:
            try:
                with Redis.from_url(url, single_connection_client=True, socket_timeout=40) as redis:
                    mirror = Mirror(RegionStore(redis, MODEL, NAMESPACE), SHAPE)
                    while done < jobs:
                        job_id = f"{number:016x}{done:016x}"
                        answer(redis, mirror, job_id)
                        succeeded.write(job_id + "\n")
                        succeeded.flush()
                        os.fsync(succeeded.fileno())
                        done += 1
            except RedisError:
                time.sleep(0.05)


def answer(redis: Redis, mirror: Mirror, job_id: str) -> None:
    """What the pipeline does once the votes are made; again after every conflict."""
    chance = random.Random(job_id)
    pixels = bytes(128 + chance.randint(-40, 40) for _ in range(6))
    found = Statement(chance.randrange(4), Radius(l2=0.15, l1=0.2, linf=0.01))
    placement = Placement(mirror, NAMESPACE, mirror.image(pixels), chance.choice(list(NoiseKind)), found)
    outcome = CommitOutcome.CONFLICT
    while outcome is CommitOutcome.CONFLICT:
        placed = placement.place()
        addition = None if placed.region is None else addition_of(mirror, placed, job_id, pixels, SHAPE)
        time.sleep(TICK - time.time() % TICK)
        progress = Progress(stage=Stage.REMEMBERING)
        outcome = commit(redis, job_id, keys.certificate(job_id), job_id, progress, addition)


def addition_of(
    mirror: Mirror, placed: Placed, job_id: str, pixels: bytes, shape: tuple[int, int, int]
) -> Addition:
    """What a worker commits together with the certificate of an image ``(c, h, w)``."""
    assert placed.region is not None
    digest = pixel_digest(pixels, shape[1], shape[2], shape[0])
    record = StoredRegion(
        certificate_id=job_id,
        image_digest=digest,
        label=placed.region.label,
        l2=placed.region.l2,
        l1=placed.region.l1,
        outcome=placed.memory.outcome,
        question="e" * 64,
        created_at=datetime.now(UTC),
    )
    return Addition(mirror.store, placed.head, record.model_dump_json().encode(), digest, pixels)


if __name__ == "__main__":
    main()
