"""Sends requests at a fixed rate, without waiting for earlier answers, and reports how long answers take.

Times count from the moment when a request is due, not from when it gets a connection. Otherwise a stalled
server would delay its own clients and look fast (coordinated omission).
"""

import asyncio
import random
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """Seconds from due to answered for each request, and the number of answers by status."""

    times: list[float]
    statuses: dict[str, int]


class Sender:
    """Reuses idle connections, and opens more as needed."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self._address = host, port
        self._request = request
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
        """Returns the connection used last, since the server closes idle ones; else a new one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)


def send_at(rate: float, seconds: float, host: str, port: int, request: bytes) -> Answers:
    """Sends a complete HTTP request ``rate`` times per second.

    The moments are random (a Poisson process), as those of independent clients are.
    """
    return asyncio.run(_send_at(rate, seconds, Sender(host, port, request)))


async def _send_at(rate: float, seconds: float, sender: Sender) -> Answers:
    drawn = random.Random(0)
    statuses: dict[str, int] = {}
    times: list[float] = []

    async def one(due: float) -> None:
        await asyncio.sleep(due - time.monotonic())
        status = await sender.send()
        times.append(time.monotonic() - due)
        statuses[status] = statuses.get(status, 0) + 1

    begin = time.monotonic() + 0.5
    moments, moment = [], 0.0
    while (moment := moment + drawn.expovariate(rate)) < seconds:
        moments.append(begin + moment)
    await asyncio.gather(*(one(due) for due in moments))
    return Answers(times, statuses)
