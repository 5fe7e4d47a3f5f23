"""The proxy that stands between the stack and its store."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.proxy import Link, Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as found:
        yield found


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def ask(connection: socket.socket, words: bytes = b"hello") -> bytes:
    connection.sendall(words)
    return hear(connection)


def hear(connection: socket.socket) -> bytes:
    """What comes back; an end is an error, like a reset."""
    heard = connection.recv(1024)
    if not heard:
        raise ConnectionError
    return heard


def ask_of_another(proxy: Proxy) -> bytes:
    with connect(proxy) as other:
        return ask(other)


def ask_for_ever(connection: socket.socket) -> None:
    while True:
        ask(connection)


def test_everything_passes(proxy: Proxy) -> None:
    with connect(proxy) as one, connect(proxy) as other:
        assert ask(one, b"a" * 900) == b"a" * 900
        assert ask(other) == b"hello"
        assert proxy.connections == 2


def test_a_cut_ends_what_is_open_and_lets_nothing_in(proxy: Proxy) -> None:
    with connect(proxy) as one:
        assert ask(one) == b"hello"
        proxy.set(Link.CUT)
        with pytest.raises(ConnectionError):
            ask_for_ever(one)
        with pytest.raises(ConnectionError):
            ask_of_another(proxy)
    proxy.set(Link.UP)
    with connect(proxy) as again:
        assert ask(again) == b"hello"


def test_silence_keeps_connections_open_and_delivers_nothing(proxy: Proxy) -> None:
    """Nor afterwards: who waited has given up."""
    with connect(proxy) as one:
        assert ask(one) == b"hello"
        proxy.set(Link.SILENT)
        one.settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(one)
        with connect(proxy) as other:
            other.settimeout(0.3)
            with pytest.raises(TimeoutError):
                ask(other)
            proxy.set(Link.UP)
            with pytest.raises(ConnectionError):
                hear(one)
    with connect(proxy) as again:
        assert ask(again) == b"hello"


def test_a_slow_link_delivers_late(proxy: Proxy) -> None:
    with connect(proxy) as one:
        proxy.set(Link.SLOW)
        asked = time.monotonic()
        assert ask(one) == b"hello"
        assert time.monotonic() - asked >= 0.3


def test_a_server_that_is_away_is_a_closed_connection(proxy: Proxy, echo: int) -> None:
    gone = Proxy(1)  # nobody listens there
    with gone, connect(gone) as one, pytest.raises(ConnectionError):
        ask(one)
