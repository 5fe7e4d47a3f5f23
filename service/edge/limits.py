"""How long a request may take to arrive and how large it may be: a slow client holds nothing others need.

::

    what                    limit                     beyond it
    headers, time           RADII_HEADER_SECONDS      408; a connection that sent nothing is closed
    headers, size           MAX_HEADER_BYTES          431
    body, time              RADII_BODY_SECONDS        408
    body, size              MAX_BODY_BYTES            413
    response, time to read  RADII_BODY_SECONDS        the connection is dropped
    open connections        RADII_MAX_CONNECTIONS     503, but for /livez

uvicorn has no setting for any of these but the last, which it answers in plain text. `LimitedProtocol`
therefore overrides its connection class. pyproject pins uvicorn's minor version; a test names each private
part used.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contract.choices import ProblemCode
from contract.limits import MAX_BODY_BYTES, MAX_HEADER_BYTES
from contract.problems import Problem, problem
from service.problems import RETRY_AFTER, problem_response
from service.settings import ServiceSettings

_ALWAYS_SERVED: Final = "/livez"  # an orchestrator must not restart a process because it is busy
_SEPARATORS: Final = 4  # bytes of a header's colon, space and line end


class BodyLimitMiddleware:
    """Refuses a body that is too large, declared or counted, or that takes too long to arrive."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            await problem_response(_body_too_large(declared))(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        size, whole = 0, False

        async def receive_within_limits() -> Message:
            nonlocal size, whole
            if whole:  # the framework now waits for the client to disconnect, for as long as it likes
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body must arrive within {self._seconds:g} s"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise HTTPException(413, _body_too_large("more").detail)
            whole = not message.get("more_body", False)
            return message

        # A GET has no body to wait for, and its first `receive` may wait for the client to disconnect.
        limited = scope["method"] == "POST"
        await self._app(scope, receive_within_limits if limited else receive, send)


def limited_protocol(settings: ServiceSettings) -> type[asyncio.Protocol]:
    """Returns the class of connections with these limits, as uvicorn's ``http`` takes it."""
    return type("Connection", (LimitedProtocol,), {"settings": settings})


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's connection, with limits on time, size and number."""

    settings: ServiceSettings

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._service: ASGIApp = self.app
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._header_bytes = 0
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """Starts the clock for the headers of the first request."""
        super().connection_made(transport)
        self._limit_reading(self.settings.header_seconds, self._refuse_slow_headers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all clocks, and tells the running request that its client has gone.

        uvicorn tells only the request that came last, which is another one if the client pipelines: the
        running one would then write to a closed connection.
        """
        _cancel(self._read_timer)
        _cancel(self._write_timer)
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Counts headers that come in many pieces; uvicorn would collect them without end."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self._refuse(_headers_too_large())

    def on_message_begin(self) -> None:
        """Starts the clock for the headers of the next request on this connection."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0
        self._limit_reading(self.settings.header_seconds, self._refuse_slow_headers)

    def on_headers_complete(self) -> None:
        """Passes the request on, unless its headers are too large or too many connections are open."""
        self._in_headers = False
        _cancel(self._read_timer)
        crowded = len(self.connections) > self.settings.max_connections
        path = self.url.partition(b"?")[0]
        # Counted again as parsed: a quick client sends more than the limit in one piece.
        size = len(self.url) + sum(len(name) + len(value) + _SEPARATORS for name, value in self.headers)
        self.app = self._service
        if size > MAX_HEADER_BYTES:
            self.app = problem_response(_headers_too_large(), {"Connection": "close"})
        elif crowded and path != _ALWAYS_SERVED.encode():
            refused = problem(ProblemCode.TOO_MANY_CONNECTIONS, "too many connections are open; try again")
            self.app = problem_response(refused, {**RETRY_AFTER, "Connection": "close"})
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stops the clock: the request is whole."""
        _cancel(self._read_timer)
        super().on_message_complete()
        if self.cycle is not None:
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        """Limits the rest of a body that was refused, which nothing reads any more."""
        super().on_response_complete()
        if self.cycle is not None and self.cycle.more_body and not self.transport.is_closing():
            self._limit_reading(self.settings.body_seconds, self.transport.close)

    def pause_writing(self) -> None:
        """Starts the clock for a client that does not read its response."""
        super().pause_writing()
        _cancel(self._write_timer)
        self._write_timer = self.loop.call_later(self.settings.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stops the clock: the client reads on."""
        _cancel(self._write_timer)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP with a problem, instead of uvicorn's plain text."""
        del msg
        self._refuse(problem(ProblemCode.MALFORMED_BODY, "the request is not valid HTTP/1.1"))

    def _refuse_slow_headers(self) -> None:
        if self._header_bytes:
            detail = f"the headers must arrive within {self.settings.header_seconds:g} s"
            self._refuse(problem(ProblemCode.BODY_TIMEOUT, detail))
        else:
            self.transport.close()

    def _refuse(self, refusal: Problem) -> None:
        """Answers and closes the connection; while another response is under way, it closes after that."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self.transport.write(_as_http(refusal))
        self.transport.close()

    def _limit_reading(self, seconds: float, otherwise: Callable[[], None]) -> None:
        _cancel(self._read_timer)
        self._read_timer = self.loop.call_later(seconds, otherwise)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _body_too_large(size: str) -> Problem:
    return problem(ProblemCode.BODY_TOO_LARGE, f"the body must have <= {MAX_BODY_BYTES} bytes, got {size}")


def _headers_too_large() -> Problem:
    return problem(ProblemCode.HEADERS_TOO_LARGE, f"the headers must have <= {MAX_HEADER_BYTES} bytes")


def _as_http(refusal: Problem) -> bytes:
    response = problem_response(refusal, {"Connection": "close"})
    head = [f"HTTP/1.1 {refusal.status} {refusal.title}".encode("ascii")]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*head, b"", bytes(response.body)])
