"""Whether Redis is durable: losing a certified region would break a guarantee that was given."""

from typing import Any, Final

from redis import Redis, exceptions

_UNKNOWN: Final = "unknown"
_WHY: Final = "Redis could lose results and certified regions; RADII_ALLOW_VOLATILE_MEMORY=1 accepts that"


def why_volatile(redis: Redis) -> str | None:
    """Returns which settings of this server could lose data, with rule and value; None if none."""
    policy, appendonly = _settings(redis)
    wrong = []
    if policy != "noeviction":
        wrong.append(f"'maxmemory-policy' must be noeviction, got {policy}")
    if appendonly != "yes":
        wrong.append(f"'appendonly' must be yes, got {appendonly}")
    return f"{' and '.join(wrong)}: {_WHY}" if wrong else None


def _settings(redis: Redis) -> tuple[str, str]:
    """The eviction policy, and whether there is an append-only file.

    Managed servers forbid CONFIG, and some hide parts of INFO; what is unknown counts as not set.
    """
    try:
        config: Any = redis.config_get("maxmemory-policy", "appendonly")
        return config.get("maxmemory-policy", _UNKNOWN), config.get("appendonly", _UNKNOWN)
    except exceptions.ResponseError:
        return _from_info(redis)


def _from_info(redis: Redis) -> tuple[str, str]:
    try:
        memory: Any = redis.info("memory")
        persistence: Any = redis.info("persistence")
    except exceptions.ResponseError:
        return _UNKNOWN, _UNKNOWN
    file = {0: "no", 1: "yes"}.get(persistence.get("aof_enabled"), _UNKNOWN)
    return memory.get("maxmemory_policy", _UNKNOWN), file
