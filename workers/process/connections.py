"""Redis clients that survive a restart of the server."""

import time

import structlog
from redis import Redis, exceptions
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from contract import keys

log = structlog.get_logger()

_POLL_SECONDS = 0.5


def connect(url: str, *, read_timeout: float | None = 30, one_connection: bool = False) -> Redis:
    """Returns a client that retries lost connections for a few seconds.

    Args:
        url: Address of the server.
        read_timeout: Seconds; None for RQ's worker, which blocks in reads for longer and sets its own.
        one_connection: Use the same connection for all commands; such a client is for one thread.
    """
    return Redis.from_url(
        url,
        single_connection_client=one_connection,
        retry=Retry(ExponentialBackoff(cap=2, base=0.05), 8),
        retry_on_error=[exceptions.ConnectionError, exceptions.TimeoutError],
        socket_connect_timeout=5,
        socket_timeout=read_timeout,
        socket_keepalive=True,
        health_check_interval=15,
    )


def wait_until_writable(redis: Redis) -> None:
    """Waits without end until the server accepts writes: it may be away, loading or full."""
    waiting = False
    while True:
        try:
            redis.set(keys.PROBE, 1, px=1)
            return
        except exceptions.RedisError as error:
            if not waiting:
                log.warning("waiting for the store", error=type(error).__name__)
            waiting = True
            time.sleep(_POLL_SECONDS)
