"""deploy/nginx.conf, in front of a running service: TLS, streams that pass as they come, the API's own words."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.choices import JobStatus
from radii.stack import free_port
from tests.support.command_line import ROOT
from tests.support.service import Service, final
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None or shutil.which("openssl") is None, reason="this machine has no nginx"
)

# What a distribution's nginx.conf says round the file, without its places.
AROUND = """
{user} daemon off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/radii.conf;
}}
"""


@pytest.fixture(scope="module")
def proxied(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client that knows the proxy's certificate and nothing of what is behind it."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(
        "/etc/ssl/radii", str(folder)
    )
    text = text.replace("http://127.0.0.1:8000", running.url).replace("radii.example.org", "localhost")
    (folder / "radii.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""  # else root's nginx could not write into this folder
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        stderr=subprocess.PIPE,
        text=True,
    )
    context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    headers = dict(running.http.headers)
    try:
        with httpx.Client(
            base_url=f"https://localhost:{port}", verify=context, headers=headers, timeout=60
        ) as http:
            until(lambda: process.poll() is not None or answers(http))  # nginx reads its files first
            assert process.poll() is None, process.communicate()[1]
            yield http
    finally:
        process.terminate()
        process.communicate(timeout=10)


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def test_a_certificate_comes_through_tls(proxied: httpx.Client, running: Service) -> None:
    """Waiting for it included; browsers are told to come back by TLS."""
    with Path(running.picture).open("rb") as picture:
        answer = proxied.post(
            "/certify",
            files={"image": picture},
            data={"sigma": "0.5", "adapt": "false", "n": "200"},
            headers={"Prefer": "wait=30"},
        )
    assert answer.status_code in (200, 202), answer.text
    assert final(proxied, answer.json()["id"]).status is JobStatus.SUCCEEDED
    assert re.fullmatch(r"max-age=\d+", answer.headers["Strict-Transport-Security"])


def test_events_pass_as_they_come(proxied: httpx.Client, running: Service) -> None:
    """The first is read while the job runs: nothing collects them on the way."""
    job = running.certify(wait=0, n=2_000_000)
    try:
        with proxied.stream("GET", f"/jobs/{job.id}/events") as stream:
            assert stream.status_code == 200
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("data:"))
            assert not running.job(job.id).status.final
    finally:
        running.http.delete(f"/jobs/{job.id}")


def test_the_api_refuses_in_its_own_words(proxied: httpx.Client) -> None:
    """A large body is a problem that programs can read, not a page of nginx."""
    answer = proxied.post("/certify", files={"image": b"x" * (12 * 1024 * 1024 + 1)})
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


def test_metrics_stay_inside(proxied: httpx.Client) -> None:
    """Whoever watches asks the API itself."""
    assert proxied.get("/metrics").status_code == 403
