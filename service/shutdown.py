"""A server that is told to stop says so, lets go of those who wait, and then takes no new requests."""

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
    """Sets the event when the process is told to stop, and lets the server's own handler act later.

    Until then requests are served, and /readyz says that others should be asked. A second signal ends it
    all at once.

    A server waits for open responses before it tells the app anything, so the app has to listen itself. Only
    the main thread can; elsewhere the server's grace period ends the streams.
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

    told = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        if told:
            # uvicorn drops open connections at a second SIGINT, and at no other signal.
            pass_on(signal.SIGINT)
            pass_on(signal.SIGINT)
            return
        told = True
        loop.call_soon_threadsafe(stopping.set)
        loop.call_soon_threadsafe(loop.call_later, drain_seconds, pass_on, number)

    for number in _SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
