"""Redis clients that live through a restart of the server."""

from redis import Redis, exceptions
from redis.backoff import ExponentialBackoff
from redis.retry import Retry


def connect(url: str, *, read_timeout: float | None = 30, one_connection: bool = False) -> Redis:
    """Returns a client that retries lost connections for a few seconds.

    RQ's worker blocks in reads for longer than any timeout of ours, so it asks for ``read_timeout=None``.
    A client of ``one_connection`` is for one thread.
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
