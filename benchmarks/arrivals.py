"""Sends one request at a fixed rate, whatever becomes of the ones before, and tells how long each took.

Run as a process of its own: ``python -m benchmarks.arrivals``, with a `Load` as JSON on standard input. A
time is counted from the moment at which the request was due, not from when there was a connection for it:
else a server that stalls would make its own clients wait, and seem fast.
"""

import asyncio
import base64
import json
import random
import sys
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Load:
    """What to send: ``request`` is a whole HTTP request in base64, sent ``rate`` times a second."""

    host: str
    port: int
    request: str
    rate: float
    seconds: float


@dataclass(frozen=True)
class Answers:
    """Seconds from due to answered, and how many answers had which status."""

    times: list[float]
    statuses: dict[str, int]


class Sender:
    """Connections that are kept, and as many more as are needed."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._request = base64.b64decode(load.request)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self) -> str:
        """Sends the request once; returns the status."""
        reader, writer = await self._connection()
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        return head[9:12].decode()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one that was used last, since the server closes those that idle."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._load.host, self._load.port)


async def run(load: Load) -> Answers:
    """Sends at random moments, as independent clients do, so many a second on average."""
    sender, drawn = Sender(load), random.Random(0)
    statuses: dict[str, int] = {}
    times: list[float] = []

    async def one(due: float) -> None:
        await asyncio.sleep(due - time.monotonic())
        status = await sender.send()
        times.append(time.monotonic() - due)
        statuses[status] = statuses.get(status, 0) + 1

    begin = time.monotonic() + 0.5
    moments, moment = [], 0.0
    while (moment := moment + drawn.expovariate(load.rate)) < load.seconds:
        moments.append(begin + moment)
    await asyncio.gather(*(one(due) for due in moments))
    return Answers(times, statuses)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Load(**json.load(sys.stdin)))))))
