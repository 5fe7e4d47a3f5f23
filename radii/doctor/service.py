"""Checks of the running service: API, engines, queue."""

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
from redis import Redis

from contract.settings import ProcessSettings
from radii.doctor.findings import Finding, fail, ok, warn
from service.jobs.catalogue import read_heartbeats, ready_models
from service.jobs.queue import read_sizes, silent_jobs, taken_jobs

_OLD_SECONDS: Final = 600.0
_TWO_LOOKS_SECONDS: Final = 1.5  # a job is between queue and worker for a few milliseconds


def look_at_api(url: str) -> Iterator[Finding]:
    """Checks whether a radii API answers at an address, and whether it is ready."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5)
        body: Any = answer.json()
    except httpx.ConnectError:
        advice = "start one by `radii serve` or `radii api`, or name another address by --url"
        yield warn("API", f"nothing listens at {url}", advice)
        return
    except (httpx.TransportError, ValueError) as error:
        advice = "name another address by --url, or stop what listens there"
        yield fail("API", f"no radii API is at {url}: {error}", advice)
        return
    if answer.status_code == httpx.codes.OK:
        yield ok("API", f"{url} is ready (engines: {body['engines']}, models: {len(body['models'])})")
    else:
        yield fail("API", f"{url} is not ready: {body.get('detail', body)}", "see the other findings")


def look_at_engines(redis: Redis) -> Iterator[Finding]:
    """Checks which engines are alive, and which models they cannot serve."""
    timing = ProcessSettings().timing
    beats = read_heartbeats(redis, timing)
    alive = [beat for beat in beats if beat.alive]
    for beat in beats:
        status = beat.status
        message = f"{status.host} (pid {status.pid}), {status.device}, {status.jobs} jobs"
        if beat.alive:
            yield ok("engine", f"{message}, {status.resident_bytes / 2**20:.0f} MiB")
        elif not alive:
            advice = f"no heartbeat for {timing.engine_alive_seconds:g} s: see the log of its worker"
            yield warn("engine", message, advice)
    if not alive:
        yield fail(
            "engines", "no engine is alive", "start one by `radii worker`, or everything by `radii serve`"
        )
    reasons = {model.name: model.reason for beat in alive for model in beat.status.models if not model.ready}
    for name, ready in ready_models(alive).items():
        if not ready:
            yield warn(f"model {name}", f"cannot be served: {reasons.get(name)}", "see `radii bundle verify`")


def look_at_queue(redis: Redis) -> Iterator[Finding]:
    """Checks how many jobs wait, and whether some are stuck."""
    sizes = read_sizes(redis)
    message = f"{sizes.waiting} jobs waiting, {sizes.running} running"
    if sizes.oldest_seconds > _OLD_SECONDS:
        advice = "start more workers: a job expires after an hour in the queue"
        yield warn("queue", f"{message}, the oldest for {sizes.oldest_seconds:.0f} s", advice)
    else:
        yield ok("queue", message)
    stuck = _stuck(redis)
    if stuck:
        advice = "their workers died; another worker will requeue them within two minutes"
        yield warn("stuck jobs", ", ".join(sorted(stuck)), advice)
    else:
        yield ok("stuck jobs", "none")


def _stuck(redis: Redis) -> set[str]:
    """Jobs that a worker took without starting them, or started without a sign of life since."""
    taken = taken_jobs(redis)
    if taken:
        time.sleep(_TWO_LOOKS_SECONDS)
        taken &= taken_jobs(redis)
    return taken | silent_jobs(redis)
