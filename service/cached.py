"""A value that is read again when it is older than some seconds."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """What ``read`` returned less than ``seconds`` ago; threads that find it too old each read it."""

    def __init__(self, read: Callable[[], Value], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._held: tuple[float, Value] | None = None

    def get(self) -> Value:
        """Returns the value, reading it if need be."""
        held = self._held
        if held is not None and time.monotonic() - held[0] < self._seconds:
            return held[1]
        return self.read()

    def read(self) -> Value:
        """Reads the value now."""
        began = time.monotonic()
        value = self._read()
        self._held = began, value
        return value
