"""A TCP proxy between the stack and its store, which can be cut, slow or silent."""

import asyncio
import threading
from collections.abc import Coroutine
from enum import StrEnum, auto
from typing import Any, Self


class Link(StrEnum):
    """What becomes of bytes."""

    UP = auto()
    CUT = auto()  # connections are reset, new ones are closed at once
    SILENT = auto()  # connections stay open and nothing arrives: half-open
    SLOW = auto()  # everything arrives late


_CHUNK = 65_536
_DELAY = 0.15  # seconds for each chunk on a slow link


class Proxy:
    """Listens on a port of this machine and passes everything on to another. Use as a context manager."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._link = Link.UP
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, link: Link) -> None:
        """Changes the link for connections that are open and for those that come."""
        self._call(self._set(link))

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._writers) // 2

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _start(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        self._reset()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _set(self, link: Link) -> None:
        was, self._link = self._link, link
        if link is Link.SILENT:
            self._open.clear()
            return
        if link is Link.CUT or was is Link.SILENT:
            self._reset()  # after a silence both ends have given up; what was held back must not arrive
        self._open.set()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            if self._link is Link.CUT:
                return
            back, there = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(there)
            await asyncio.gather(self._pass(reader, there), self._pass(back, writer))
        except OSError:
            pass  # either end is gone
        finally:
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            if self._link is Link.SLOW:
                await asyncio.sleep(_DELAY)
            writer.write(data)
            await writer.drain()
        raise ConnectionError  # one direction ends both
