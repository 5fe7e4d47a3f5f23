"""The private parts of uvicorn that `service.edge.limits` builds on: an upgrade that changes one fails here, by name."""

import asyncio
import inspect
import socket
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.edge.limits import LimitedProtocol

OVERRIDDEN = {
    "connection_made": ["self", "transport"],
    "connection_lost": ["self", "exc"],
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_headers_complete": ["self"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "pause_writing": ["self"],
    "resume_writing": ["self"],
    "send_400_response": ["self", "msg"],
    "_start_asgi_task": ["self", "cycle", "app"],
}


def test_every_overridden_method_is_listed() -> None:
    """Whatever it defines that uvicorn or asyncio define too."""
    ours = {name for name in vars(LimitedProtocol) if hasattr(HttpToolsProtocol, name) and name[:2] != "__"}
    assert ours == set(OVERRIDDEN)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_overridden_method_exists_with_our_signature(name: str) -> None:
    for protocol in (HttpToolsProtocol, LimitedProtocol):
        assert list(inspect.signature(getattr(protocol, name)).parameters) == OVERRIDDEN[name]


ATTRIBUTES = ("app", "loop", "transport", "connections", "url", "headers", "cycle")
OF_A_REQUEST = {"more_body": True, "response_complete": False, "keep_alive": True, "disconnected": False}


async def attributes() -> dict[str, Any]:
    """Those of uvicorn's own connection, while a request's headers are complete and its body is not."""
    arrived = asyncio.Event()

    async def app(scope: object, receive: object, send: object) -> None:
        arrived.set()
        await asyncio.sleep(60)

    loop = asyncio.get_running_loop()
    protocol = HttpToolsProtocol(Config(app), ServerState(), {}, loop)
    client, server = socket.socketpair()
    with client:
        await loop.create_connection(lambda: protocol, sock=server)
        client.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        await arrived.wait()
        found = {name: getattr(protocol, name) for name in ATTRIBUTES}
        found |= {name: getattr(protocol.cycle, name) for name in OF_A_REQUEST}
        (task,) = protocol.tasks
        task.cancel()
        await asyncio.wait([task])
        protocol.transport.close()
    return found


def test_a_connection_and_its_request_have_the_attributes() -> None:
    found = asyncio.run(attributes())
    assert {name: found[name] for name in OF_A_REQUEST} == OF_A_REQUEST
    assert found["url"] == b"/x"
    assert (b"host", b"a") in found["headers"]
    assert isinstance(found["connections"], set)
    assert isinstance(found["cycle"], RequestResponseCycle)
    assert isinstance(found["cycle"].message_event, asyncio.Event)
