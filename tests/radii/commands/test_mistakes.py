"""The command line says what is wrong: the field, the rule and the value."""

import json
import os
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from radii.stack import free_port
from service.openapi.examples import EXAMPLES
from tests.support.command_line import PICTURE, radii, radii_process


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("certify", "nowhere.png"), ["'image'", "nowhere.png", "No such file"]),
        (("certify", str(PICTURE)), ["no radii server answers", "radii serve"]),
        (("models",), ["no radii server answers"]),
        (("models", "--url", "http://[::1"), ["'url' must be the address of a server", "'http://[::1'"]),
        (("models", "--url", "http://127.0.0.1:99999"), ["'url' must be the address", "99999"]),
        (("models", "--url", "foo"), ["'url' must be the address", "got 'foo': it must begin with http://"]),
        (("verify", "nowhere.json"), ["'certificate'", "nowhere.json"]),
        (("serve", "--models", "/nowhere"), ["'models'", "/nowhere"]),
        (("serve", "--redis-url", "redis://127.0.0.1:1/0", "--port", "0"), ["port"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told(arguments: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    """On standard error, in one message, without a traceback; nothing is written."""
    url = f"http://127.0.0.1:{free_port()}"
    ran = radii(*arguments, cwd=tmp_path, RADII_URL=url)
    assert ran.returncode != 0
    said = " ".join(ran.stderr.split())
    for word in words:
        assert word in said
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bundle", "create", "x", "--from", "preact_resnet18", "--classes", "10", "--input-shape", "3y4"),
         ["'input-shape'", "3y4"]),
        (("bundle", "create", "x", "--from", "preact_resnet18", "--classes", "10", "--mean", "a"),
         ["'mean'", "'a'"]),
        (("bundle", "create", "x", "--from", "preact_resnet18", "--classes", "10", "--resize", "-3"),
         ["'resize' must be > 0, got -3"]),
        (("bundle", "create", "x", "--from", "preact_resnet18", "--classes", "10", "--resize", "9",
          "--interpolation", "fine"), ["'interpolation' must be 'nearest', 'bilinear' or 'bicubic', got 'fine'"]),
        (("bundle", "create", "x", "--from", "nonsense", "--classes", "10"), ["nonsense"]),
        (("bundle", "create", "x", "--from", "nowhere.at_all:build", "--classes", "10"), ["--from", "nowhere", "PYTHONPATH"]),
        (("bundle", "verify", "nowhere"), ["card.json"]),
        (("train", "nonsense", "--out", "x"), ["'recipe' must be one of standard, gaussian,", "nonsense"]),
        (("train", "gaussian", "--out", "x", "--data", "/nowhere"), ["/nowhere"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_what_needs_torch(
    arguments: tuple[str, ...], words: list[str], tmp_path: Path
) -> None:
    """As above."""
    ran = radii(*arguments, cwd=tmp_path)
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    said = " ".join(ran.stderr.split())
    for word in words:
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_what_is_verified_is_a_certificate_or_the_job_that_holds_it(tmp_path: Path) -> None:
    """As `POST /certify` answers; anything else is named field by field, in plain words."""
    job = json.loads((EXAMPLES / "get_job.json").read_text())["responses"]["200"]
    file = tmp_path / "file.json"
    for held in (job, job["certificate"]):
        file.write_text(json.dumps(held))
        assert radii("verify", str(file)).returncode == 0
    for held, words in [
        ({}, "\n'alpha' is required\n"),
        (job["certificate"] | {"alpha": "x"}, "'alpha' must be a number, got 'x'"),
        (job | {"certificate": None}, "a certificate or a finished job"),
        ([1], "got [1]"),
    ]:
        file.write_text(json.dumps(held))
        ran = radii("verify", str(file))
        assert ran.returncode == 1
        assert words in ran.stderr
        assert "pydantic" not in ran.stderr
    file.write_text("no JSON")
    assert "as JSON: expected" in " ".join(radii("verify", str(file)).stderr.split())


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = radii("serve", "--port", port, "--data-dir", str(tmp_path / "data"))
    assert ran.returncode == 1
    assert port in ran.stderr
    assert not (tmp_path / "data").exists()


def test_a_demo_that_fails_says_why(tmp_path: Path) -> None:
    """Its processes write to a file, which is gone with the demo: its end is printed.

    An engine that cannot load torch dies at once, as often as it is started.
    """
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so is damaged')")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    ran = radii_process("demo", PYTHONPATH=path)
    assert ran.returncode == 1
    assert "libtorch.so is damaged" in ran.stderr
    assert "worker 1 gave up" in " ".join(ran.stderr.split())


def test_a_server_of_another_version_is_told_apart() -> None:
    """What it sends is not understood; that is no traceback."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"models": [{"name": "of tomorrow"}]}')

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.handle_request, daemon=True).start()
        ran = radii("models", "--url", f"http://127.0.0.1:{server.server_port}")
    assert ran.returncode == 1
    assert "not understood" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_version_is_printed() -> None:
    """And nothing else, by a process as a user starts it."""
    assert radii_process("--version").stdout.strip().count(".") == 2
