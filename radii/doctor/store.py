"""Checks of the Redis server: speed, durability, memory, clock."""

import time
import timeit
from collections.abc import Iterator
from typing import Any, Final

from redis import Redis, RedisError, ResponseError

from contract import keys
from radii.doctor.findings import Finding, fail, ok, warn
from service.jobs.durability import why_volatile

_OLDEST: Final = (6, 2)  # BLMOVE, without which RQ loses jobs
_WAITAOF: Final = (7, 2)
_SLOW_SECONDS: Final = 0.05
_FULL: Final = 0.95
_NEARLY_FULL: Final = 0.85
_SKEW_SECONDS: Final = 5.0
_PATIENCE_MS: Final = 5_000


def look_at_store(redis: Redis, shown: str) -> Iterator[Finding]:
    """Checks the server at the address ``shown``; one finding if it does not answer."""
    try:
        latency = min(timeit.repeat(redis.ping, number=1))
    except RedisError as error:
        advice = "start it, or name another in RADII_REDIS_URL; if it refuses, check user and password"
        yield fail("Redis", f"{shown} does not answer: {error}", advice)
        return
    info: dict[str, Any] = redis.info()
    yield _version(info, shown)
    advice = "move the server closer: every batch of a job reports its progress to it"
    message = f"answers in {latency * 1000:.2f} ms"
    yield warn("latency", message, advice) if latency > _SLOW_SECONDS else ok("latency", message)
    why = why_volatile(redis)
    advice = "set maxmemory-policy noeviction and appendonly yes"
    yield fail("durability", why, advice) if why else ok("durability", "append-only file, nothing is evicted")
    yield from _writes(info)
    yield _memory(info)
    yield _waits_for_disk(redis)
    yield _clock(redis)


def _version(info: dict[str, Any], shown: str) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    number = str(info.get("valkey_version") or info["redis_version"])
    speaks = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    message = f"{name} {number} at {shown}"
    if speaks < _OLDEST:
        return fail(
            "Redis", message, "use 7.2 or later: before 6.2, jobs can be lost between queue and worker"
        )
    if speaks < _WAITAOF:
        return warn(
            "Redis", message, "use 7.2 or later: an earlier version cannot confirm that an answer is on disk"
        )
    return ok("Redis", message)


def _writes(info: dict[str, Any]) -> Iterator[Finding]:
    """Checks whether the last writes to disk succeeded."""
    failed = [
        name
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(name, "ok") != "ok"
    ]
    if info.get("loading"):
        yield fail("persistence", "the server is loading its files", "wait until it has finished")
    elif failed:
        advice = "see the server's log and disk: it refuses writes until this is fixed"
        yield fail("persistence", f"failed: {', '.join(failed)}", advice)
    else:
        yield ok("persistence", "the last writes to disk succeeded")


def _memory(info: dict[str, Any]) -> Finding:
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not most:
        return ok("memory", f"{used / 2**20:.0f} MiB used, no limit")
    share = used / most
    message = f"{used / 2**20:.0f} of {most / 2**20:.0f} MiB used ({share:.0%})"
    advice = "raise maxmemory: a full server refuses new jobs"
    if share > _FULL:
        return fail("memory", message, advice)
    return warn("memory", message, advice) if share > _NEARLY_FULL else ok("memory", message)


def _waits_for_disk(redis: Redis) -> Finding:
    """Writes a short-lived key, and waits until it is on disk, as workers do for every answer."""
    with Redis(connection_pool=redis.connection_pool, single_connection_client=True) as connection:
        try:
            connection.set(keys.PROBE, 1, ex=10)
            started = time.perf_counter()
            on_disk, _ = connection.waitaof(1, 0, _PATIENCE_MS)
        except ResponseError as error:
            advice = "answers may be lost in a crash: use Redis 7.2 with appendonly yes"
            return warn("WAITAOF", f"refused: {error}", advice)
    seconds = time.perf_counter() - started
    if not on_disk:
        advice = "see the server's disk: no job can end until it accepts writes"
        return fail("WAITAOF", f"not on disk within {_PATIENCE_MS / 1000:g} s", advice)
    return ok("WAITAOF", f"a write is on disk after {seconds * 1000:.1f} ms")


def _clock(redis: Redis) -> Finding:
    before = time.time()
    seconds, microseconds = redis.time()
    skew = seconds + microseconds / 1e6 - (before + time.time()) / 2
    message = f"this machine's clock differs by {abs(skew):.2f} s from the server's"
    advice = "synchronise the clocks (NTP); otherwise lost jobs are detected too early or too late"
    return warn("clock", message, advice) if abs(skew) > _SKEW_SECONDS else ok("clock", message)
