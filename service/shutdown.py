"""Graceful shutdown: /readyz fails first, waits and streams end, and then no new requests are accepted."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def set_on_signal(stopping: asyncio.Event, drain_seconds: float = 0) -> Iterator[None]:
    """Sets the event on SIGTERM or SIGINT, and calls the server's own handler ``drain_seconds`` later.

    In between requests are served, and /readyz tells load balancers to use other processes. A second signal
    ends the process at once.

    uvicorn waits for open responses before it notifies the app, so the app must handle the signal itself.
    Only the main thread can; in another thread, uvicorn's grace period ends the streams.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def pass_on(number: int) -> None:
        handler: Any = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, None)

    signalled = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal signalled
        if signalled:
            # uvicorn drops open connections at a second SIGINT, and at no other signal.
            pass_on(signal.SIGINT)
            pass_on(signal.SIGINT)
            return
        signalled = True
        loop.call_soon_threadsafe(stopping.set)
        loop.call_soon_threadsafe(loop.call_later, drain_seconds, pass_on, number)

    for number in _SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
