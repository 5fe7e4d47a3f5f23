"""What the commands send: every option as its field of the form, and no other."""

from collections.abc import Callable, Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from contract.choices import ProblemCode
from contract.problems import problem
from radii.main import app

Form = dict[str, list[str]]


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[Callable[..., Form]]:
    """Runs a command against a server that refuses everything, and returns the form that it got."""
    forms: list[Form] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            forms.append(parse(self.headers["Content-Type"], body))
            told = problem(ProblemCode.INVALID_FIELD, "'sigma' is out of favour").model_dump_json().encode()
            self.send_response(422)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

    picture = tmp_path / "picture.png"
    picture.write_bytes(b"png")
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()

        def run(command: str, *options: str) -> Form:
            url = f"http://127.0.0.1:{server.server_port}"
            result = CliRunner().invoke(app, [command, str(picture), "--url", url, *options])
            assert result.exit_code == 1, result.output
            assert "out of favour" in result.output
            return forms[-1]

        yield run
        server.shutdown()
        thread.join()


def parse(content_type: str, body: bytes) -> Form:
    """The fields of a multipart form, the image apart."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    form: Form = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and name != "image":
            form.setdefault(name, []).append(str(part.get_payload()))
    return form


def test_nothing_is_sent_that_was_not_asked_for(sent: Callable[..., Form]) -> None:
    """The server's defaults are the server's."""
    assert sent("certify") == sent("predict") == {}


SHARED = {
    "--model": "toy",
    "--noise": "hybrid",
    "--sigma": "0.25",
    "--sigma-uniform": "0.75",
    "--n": "1000",
    "--alpha": "0.01",
    "--momentum": "0.5",
    "--clean-size": "64",
    "--fit": "resize",
    "--memory": "off",
    "--label": "boot",
    "--seed": "ff",
}
CERTIFY = {
    "--noise-level": "optimize",
    "--n0": "50",
    "--bound": "one_sided",
    "--target-radius": "0.5",
    "--max-seconds": "2.5",
}


@pytest.mark.parametrize(("command", "options"), [("certify", SHARED | CERTIFY), ("predict", SHARED)])
def test_options_are_fields(sent: Callable[..., Form], command: str, options: dict[str, str]) -> None:
    """Under the same names."""
    words = [word for option in options.items() for word in option]
    expected = {option[2:].replace("-", "_"): [value] for option, value in options.items()}
    assert sent(command, *words, "--adapt") == expected | {"adapt": ["true"]}
    assert sent(command, "--no-adapt") == {"adapt": ["false"]}


def test_fresh_samples(sent: Callable[..., Form]) -> None:
    assert sent("certify", "--fresh") == {"fresh": ["true"]}
    assert sent("certify", "--no-fresh", "--memory", "off") == {"fresh": ["false"], "memory": ["off"]}


def test_a_list_is_its_field_once_per_item(sent: Callable[..., Form]) -> None:
    """However it was written."""
    two = {"sigma_grid": ["0.25", "0.5"]}
    assert sent("certify", "--sigma-grid", "0.25", "--sigma-grid", "0.5") == two
    assert sent("certify", "--sigma-grid", "0.25,0.5") == two
