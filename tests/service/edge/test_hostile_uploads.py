"""Whatever is uploaded, it is refused or taken at once, and leaves nothing behind."""

import time
from collections import Counter
from collections.abc import Callable

import httpx

from contract.limits import MAX_BODY_BYTES
from contract.problems import Problem
from tests.service.conftest import ApiProcess
from tests.service.hostile import Upload, corpus

SECONDS = 0.1  # of computation, for any of them
GROWTH = 20e6  # bytes


def send(client: httpx.Client, upload: Upload) -> httpx.Response:
    headers = {} if upload.content_type is None else {"Content-Type": upload.content_type.encode()}
    return client.post(upload.path, content=upload.body, headers=headers)


def complaint(upload: Upload, response: httpx.Response) -> str | None:
    """What is wrong with an answer, if anything is."""
    if response.status_code == 202:
        return None if upload.may_be_valid else "taken"
    if response.headers.get("Content-Type") != "application/problem+json":
        return f"no problem but {response.text[:80]!r}"
    problem = Problem.model_validate_json(response.content)
    if not 400 <= response.status_code < 500 or problem.status != response.status_code:
        return f"{response.status_code} {problem.code}"
    return (
        None if problem.code.status == problem.status and len(response.content) < 200_000 else "odd problem"
    )


def test_no_upload_hurts(patient: ApiProcess, redis_url: str, beat: Callable[..., None]) -> None:
    """Hundreds of them: a 4xx (or a job, where the damage left a picture) within 100 ms, in constant memory.

    What is measured is the process's own computation, so that a busy machine does not count; whatever took too
    long is tried again alone. Memory is measured over a second round: what the first one filled is no leak.
    """
    beat()
    uploads = corpus()
    assert len(uploads) >= 500
    wrong: dict[str, str] = {}
    slow: dict[str, float] = {}
    times: list[float] = []
    statuses: Counter[int] = Counter()

    def measured(client: httpx.Client, upload: Upload) -> float:
        before = patient.cpu_seconds
        response = send(client, upload)
        spent = patient.cpu_seconds - before
        statuses[response.status_code] += 1
        if found := complaint(upload, response):
            wrong[upload.name] = found
        return spent

    with httpx.Client(base_url=patient.url, timeout=60) as client:
        began = time.monotonic()
        for upload in uploads:
            spent = measured(client, upload)
            if spent > SECONDS:
                spent = min(measured(client, upload), measured(client, upload))
            times.append(spent)
            if spent > SECONDS:
                slow[upload.name] = round(spent, 3)
        resident = patient.resident  # every pool is filled, every decoder loaded
        for upload in uploads:
            send(client, upload)
        growth = patient.resident - resident
        assert client.get("/livez").status_code == 200
    ranked = sorted(times)
    print(  # noqa: T201 (pytest shows it when the test fails)
        f"{len(uploads)} uploads up to {MAX_BODY_BYTES >> 20} MiB in {time.monotonic() - began:.1f} s: {dict(statuses)}; "
        f"median {1000 * ranked[len(ranked) // 2]:.1f} ms, most {1000 * ranked[-1]:.1f} ms of computation; "
        f"memory grew by {growth / 1e6:.1f} MB"
    )
    assert not wrong
    assert not slow
    assert growth < GROWTH
