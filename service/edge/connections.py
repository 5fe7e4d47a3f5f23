"""One HTTP connection, which may not be held for nothing: what uvicorn itself does not limit.

uvicorn waits for ever for the first byte, for the end of the headers, for the rest of a body that nobody
reads any more, and for a client that takes nothing of its answer; and it bounds no header. Here each has its
time or size, so that idle and slow clients hold nothing that others need. How long a body may take that is
being read is `service.edge.guards`' to say.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.choices import ProblemCode
from contract.limits import MAX_HEADER_BYTES
from contract.problems import Problem, problem
from service.problems import RETRY_AFTER, problem_response
from service.settings import ServiceSettings

_ALWAYS_SERVED: Final = "/livez"  # a crowded process is alive
_MARKS: Final = 4  # bytes of a header's colon, space and line end


def guarded_protocol(settings: ServiceSettings) -> type[asyncio.Protocol]:
    """Returns the class of connections with these limits, as uvicorn's ``http`` takes it."""
    return type("Connection", (GuardedProtocol,), {"settings": settings})


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's connection, with limits on time, size and number."""

    settings: ServiceSettings

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._service: ASGIApp = self.app
        self._timer: asyncio.TimerHandle | None = None
        self._taker: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expects the headers of the first request."""
        super().connection_made(transport)
        self._within(self.settings.header_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expects nothing more."""
        self._cancel(self._timer)
        self._cancel(self._taker)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, but no headers without end."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self._refuse(_too_large())

    def on_message_begin(self) -> None:
        """A request begins: its headers must be there in time."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._within(self.settings.header_seconds, self._head_is_late)

    def on_headers_complete(self) -> None:
        """Passes the request on, unless its headers are too large or the process is crowded."""
        self._in_head = False
        self._cancel(self._timer)
        crowded = len(self.connections) > self.settings.max_connections
        path = self.url.partition(b"?")[0]
        # As they were read, in one piece or in many.
        size = len(self.url) + sum(len(name) + len(value) + _MARKS for name, value in self.headers)
        self.app = self._service
        if size > MAX_HEADER_BYTES:
            self.app = _refuse_headers
        elif crowded and path != _ALWAYS_SERVED.encode():
            self.app = _crowded
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._cancel(self._timer)
        super().on_message_complete()
        if self.cycle is not None:
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        """What is left of a body that was refused must come soon, or the connection ends."""
        super().on_response_complete()
        if self.cycle is not None and self.cycle.more_body and not self.transport.is_closing():
            self._within(self.settings.body_seconds, self.transport.close)

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self._cancel(self._taker)
        self._taker = self.loop.call_later(self.settings.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It goes on taking."""
        self._cancel(self._taker)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP in the words of every other refusal."""
        del msg
        self._refuse(problem(ProblemCode.MALFORMED_BODY, "the request is not valid HTTP/1.1"))

    def _head_is_late(self) -> None:
        if self._head_bytes:
            detail = f"the headers must arrive within {self.settings.header_seconds:g} s"
            self._refuse(problem(ProblemCode.BODY_TIMEOUT, detail))
        else:
            self.transport.close()

    def _refuse(self, refusal: Problem) -> None:
        """Answers and ends the connection; one whose answer is under way ends after it."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self.transport.write(_as_http(refusal))
        self.transport.close()

    def _within(self, seconds: float, otherwise: Callable[[], None]) -> None:
        self._cancel(self._timer)
        self._timer = self.loop.call_later(seconds, otherwise)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def _too_large() -> Problem:
    return problem(ProblemCode.HEADERS_TOO_LARGE, f"the headers must have <= {MAX_HEADER_BYTES} bytes")


async def _refuse_headers(scope: Scope, receive: Receive, send: Send) -> None:
    await problem_response(_too_large(), {"Connection": "close"})(scope, receive, send)


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "as many connections are open as may be; try again"
    response = problem_response(
        problem(ProblemCode.TOO_MANY_CONNECTIONS, detail), {**RETRY_AFTER, "Connection": "close"}
    )
    await response(scope, receive, send)


def _as_http(refusal: Problem) -> bytes:
    response = problem_response(refusal, {"Connection": "close"})
    head = [f"HTTP/1.1 {refusal.status} {refusal.title}".encode("ascii")]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*head, b"", bytes(response.body)])
