"""Following jobs over HTTP: events as they come, and who is still waiting."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from redis import Redis

Event = dict[str, str]


@contextmanager
def stream(api: httpx.Client, job_id: str, after: str | None = None) -> Iterator[Iterator[Event]]:
    """Yields events as they come: the lines of each, comments under ''."""
    headers = {} if after is None else {"Last-Event-ID": after}
    with api.stream("GET", f"/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-cache"
        yield _events(response.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[Event]:
    event: Event = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event
            event = {}


def blocked(redis: Redis) -> int:
    return int(redis.info("clients")["blocked_clients"])


def ended(api: httpx.Client) -> int:
    """How many requests about jobs the API has done with, whether or not their clients were still there."""
    counts = re.findall(
        r'^radii_http_requests_total\{.*route="/jobs/.*\} (\S+)$', api.get("/metrics").text, re.M
    )
    return int(sum(map(float, counts)))
