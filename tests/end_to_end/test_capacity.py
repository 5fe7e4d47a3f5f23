"""What docs/operations.md tells of bytes, measured in the store: queued and finished jobs, regions."""

import io

import numpy as np
from PIL import Image

from contract import keys
from contract.choices import JobStatus
from contract.jobs import Job
from tests.docs.settings_table import told
from tests.end_to_end.running import Running

PIXELS = 28 * 28


def size(running: Running, *names: str) -> int:
    """Bytes that keys take, by Redis' own account, without those of a picture's pixels."""
    return sum(running.redis.memory_usage(name, samples=0) or 0 for name in names)


def keys_of(running: Running, job: Job) -> list[str]:
    """Every key that a job's id is part of."""
    return [key.decode() for key in running.redis.scan_iter(f"*{job.id}*", count=1000)]


def picture(seed: int) -> bytes:
    """The shipped picture, not quite."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (28, 28), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_job_takes_what_the_page_says(running: Running) -> None:
    """The page's figure is that of the test's job, rounded up: within a third of it."""
    job = running.certify(n=20_000)
    assert job.status is JobStatus.SUCCEEDED
    found = size(running, *keys_of(running, job))
    certificate = size(running, keys.certificate(job.id))
    print(f"finished {found}, of which the certificate {certificate}")  # noqa: T201 (pytest shows it when a test fails)
    assert 0.67 * told("finished") < found <= told("finished")
    assert 0.67 * told("certificate") < certificate <= told("certificate")


def test_a_region_takes_what_the_page_says(running: Running) -> None:
    """Besides its pixels, once there are some."""
    jobs = [
        running.certify_picture(picture(seed), sigma=0.5, adapt="false", n=100, memory="capacity")
        for seed in range(40)
    ]
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    digest = next(job.certificate.model_digest for job in jobs if job.certificate)
    length = running.redis.llen(next(running.redis.scan_iter("*capacity}:log")))
    names = [key.decode() for key in running.redis.scan_iter("*capacity}:*")]
    assert digest in names[0]
    assert length >= 10, "most of these pictures abstain: take others"
    found = size(running, *names) / length - PIXELS
    print(f"region {found}")  # noqa: T201
    assert 0.67 * told("region") < found <= told("region")
