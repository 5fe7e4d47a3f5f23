"""docker-compose.yml, brought up for real: `make compose-test`, where a Docker engine is.

The tests build on each other's stack, in this order; the last one takes it down.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.choices import JobStatus
from contract.jobs import Job
from radii.stack import free_port
from tests.clients.generating import CLIENTS, Target, add_node_packages
from tests.docs.pages import commands_of
from tests.docs.settings_table import told
from tests.end_to_end.composing import (
    IMAGES,
    PICTURE,
    SERVICES,
    Compose,
    compose_command,
    docker,
    inspect,
)
from tests.support.waiting import until

LONG = 2_000_000  # votes: minutes of sampling

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("RADII_COMPOSE") != "1", reason="needs a Docker engine: make compose-test"
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    """A stack of its own: its project, its volumes, its port. Its images were built before."""
    command = compose_command()
    assert command is not None, "no docker compose here"
    missing = [image for image in IMAGES if not docker("images", "-q", image)]
    assert not missing, f"build the images first: {missing}"
    project, port = f"radii-test-{os.getpid()}", free_port()
    stack = Compose(command, project, port, settings={"RADII_THREADS": "1"})
    try:
        stack("up", "-d")
        key = stack("run", "--rm", "-T", "setup", "key").splitlines()[-1]
        stack = Compose(command, project, port, key, stack.settings)
        stack.wait_until_ready()
        yield stack
    finally:
        if os.environ.get("RADII_COMPOSE_KEEP") != "1":
            stack("down", "--volumes", "--timeout", "5", check=False)


def sampling(job: Job) -> bool:
    """Whether votes are being made."""
    return job.status is JobStatus.RUNNING and job.progress.completed > 0


def final(job: Job) -> bool:
    """Whether it has ended."""
    return job.status.final


def wait_for_status(compose: Compose, key: str, status: int) -> None:
    """Waits until requests with a key are answered so: a running API takes a change of its keys a second later."""
    url, headers = f"{compose.url}/models", {"X-API-Key": key}
    until(lambda: httpx.get(url, headers=headers).status_code == status)


def test_every_container_becomes_healthy(compose: Compose) -> None:
    """And the one that makes the secrets has ended well."""
    for service in SERVICES:
        until(
            lambda service=service: (  # type: ignore[misc]
                compose.containers(service)[0]["State"]["Health"]["Status"] == "healthy"
            ),
            f"{service} is not healthy",
            240,
        )
    setup = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={compose.project}",
                   "--filter", "label=com.docker.compose.service=setup")  # fmt: skip
    assert [inspect(name)["State"]["ExitCode"] for name in setup.split()] == [0]


def test_an_image_is_certified_over_http_and_by_the_command_line(compose: Compose) -> None:
    """With a memory and adaptation, so that everything that a worker writes is written."""
    job = compose.submit(wait=30, n=500, adapt="true", memory="default")
    job = compose.until(job.id, final)
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.certificate is not None
    ran = compose.radii("certify", str(PICTURE), "--n", "500", "--sigma", "0.5")
    assert ran.returncode == 0, ran.stderr
    assert "certified radius" in ran.stdout


@pytest.mark.parametrize("generator", CLIENTS)
def test_a_generated_client_makes_its_round_trip(
    compose: Compose, tmp_path: Path, pytestconfig: pytest.Config, generator: str
) -> None:
    """From this stack's own document and with the operator's key, as docs/clients.md tells it."""
    add_node_packages(tmp_path, pytestconfig)
    CLIENTS[generator](Target(compose.url, compose.key, PICTURE), tmp_path)


def test_without_the_key_nobody_is_let_in(compose: Compose) -> None:
    """Except to ask whether it lives."""
    assert httpx.get(f"{compose.url}/models").status_code == 401
    assert httpx.get(f"{compose.url}/livez").status_code == 200


def test_containers_may_do_no_more_than_they_must(compose: Compose) -> None:
    """As docker has it, not as the file says."""
    for container in compose.containers(*SERVICES):
        host, name = container["HostConfig"], container["Name"]
        assert container["Config"]["User"] == "10001:10001", name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert not host["Privileged"], name
        assert host["Init"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] == 512, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}, name


def test_processes_have_no_rights_and_no_place_to_write(compose: Compose) -> None:
    """What docker was told is what the kernel does."""
    look = (
        "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status; touch /tmp/probe && rm /tmp/probe; "
        "for place in / /app /etc /secrets/redis; do ! touch $place/probe 2>/dev/null || echo written: $place; done"
    )
    for service in SERVICES:
        found = compose.execute(service, "sh", "-c", look).split()
        assert found == ["10001", "CapEff:", "0000000000000000", "NoNewPrivs:", "1"], service


def test_the_api_alone_is_published_and_on_this_machine_alone(compose: Compose) -> None:
    """Redis and workers can be reached from their network only, and reach nothing outside of it."""
    published = {
        container["Config"]["Labels"]["com.docker.compose.service"]: container["NetworkSettings"]["Ports"]
        for container in compose.containers(*SERVICES)
    }
    bindings = {
        service: [one for ports in found.values() for one in ports or []]
        for service, found in published.items()
    }
    assert bindings == {
        "redis": [],
        "worker-cpu": [],
        "api": [{"HostIp": "127.0.0.1", "HostPort": str(compose.port)}],
    }
    assert inspect(f"{compose.project}_inside")["Internal"]
    networks = compose.containers("worker-cpu")[0]["NetworkSettings"]["Networks"]
    assert set(networks) == {f"{compose.project}_inside"}


def test_redis_wants_its_password_and_refuses_what_the_service_never_does(compose: Compose) -> None:
    """Nor does its password, or its hash, stand in any command line."""
    address = compose.containers("redis")[0]["NetworkSettings"]["Networks"][f"{compose.project}_inside"][
        "IPAddress"
    ]
    with socket.create_connection((address, 6379), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
    cli = 'REDISCLI_AUTH="$(cat "$RADII_REDIS_PASSWORD_FILE")" exec redis-cli '
    for refused in ("flushall", "config set dir /tmp", "shutdown", "module list", "replicaof no one"):
        assert compose.execute("redis", "sh", "-c", cli + refused).startswith("NOPERM"), refused
    assert compose.execute("redis", "sh", "-c", cli + "config get appendonly").split() == [
        "appendonly",
        "yes",
    ]
    commands = compose.execute("redis", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
    assert "redis-server" in commands
    assert "requirepass" not in commands


def test_each_container_sees_its_own_secrets_alone(compose: Compose) -> None:
    """The operator's key is with no service; the API has its hash."""
    everything = "find /secrets -type f | sort"
    seen = {service: compose.execute(service, "sh", "-c", everything).split() for service in SERVICES}
    assert seen == {
        "redis": ["/secrets/redis/password"],
        "api": ["/secrets/api/keys.json", "/secrets/redis/password"],
        "worker-cpu": ["/secrets/redis/password"],
    }
    assert compose.key not in compose.execute("api", "cat", "/secrets/api/keys.json")


def test_the_api_has_no_numerical_libraries_and_the_worker_no_tools() -> None:
    """What is not there cannot be broken into."""
    for module in ("torch", "numpy", "scipy", "pip"):
        ran = docker("run", "--rm", "--entrypoint", "python", "radii-api", "-c",
                     f"import importlib.util as u; print(u.find_spec({module!r}) is None)")  # fmt: skip
        assert ran == "True", module
    for tool in ("gcc", "cc", "git", "curl"):
        docker("run", "--rm", "--entrypoint", "sh", "radii-worker", "-c", f"! command -v {tool}")


@pytest.mark.parametrize("image", ["api", "worker"])
def test_an_image_takes_what_the_page_says(image: str) -> None:
    """Besides its base image; the page's figure is rounded up."""
    sizes = docker("run", "--rm", "--entrypoint", "du", f"radii-{image}", "-sB1", "/venv", "/app")
    found = sum(int(line.split()[0]) for line in sizes.splitlines())
    assert 0.67 * told(f"{image}-image") < found <= told(f"{image}-image")


def test_a_killed_engine_loses_no_job(compose: Compose) -> None:
    """Kill -9 in the middle of the votes: the job is tried again and succeeds."""
    job = compose.submit(n=40_000)
    compose.until(job.id, sampling)
    kill = (
        "import os, pathlib, signal; "
        "[os.kill(int(p.parent.name), signal.SIGKILL) for p in pathlib.Path('/proc').glob('[0-9]*/cmdline') "
        "if b'workers.process.engine' in p.read_bytes().split(bytes(1))]"
    )
    compose.execute("worker-cpu", "python", "-c", kill)
    ended = compose.until(job.id, final, 240)
    assert (ended.status, ended.attempt) == (JobStatus.SUCCEEDED, 2)


def test_a_stopped_worker_finishes_its_job_first(compose: Compose) -> None:
    """SIGTERM in the middle of the votes: no attempt is lost, and the exit is clean."""
    job = compose.submit(n=20_000)
    compose.until(job.id, sampling)
    compose("stop", "worker-cpu")
    ended = compose.job(job.id)
    assert (ended.status, ended.attempt) == (JobStatus.SUCCEEDED, 1)
    stopped = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={compose.project}",
                     "--filter", "label=com.docker.compose.service=worker-cpu")  # fmt: skip
    assert inspect(stopped)["State"]["ExitCode"] == 0


def test_what_was_promised_outlives_the_containers(compose: Compose) -> None:
    """`down` and `up`: certificates, the memory and even a job that nobody had taken yet are still there."""
    asked = {"n": 500, "adapt": "true", "memory": "default"}
    queued = compose.submit(n=300)  # the worker was stopped by the test before
    require_no_secret(compose)
    compose("down", "--timeout", "60")
    compose("up", "-d")
    compose.wait_until_ready()
    assert compose.until(queued.id, final).status is JobStatus.SUCCEEDED
    again = compose.until(compose.submit(wait=30, **asked).id, final)
    assert again.certificate is not None
    assert again.certificate.memory.outcome == "repeated", "the memory does not know the picture any more"


def test_workers_can_be_added(compose: Compose) -> None:
    """Three of them take jobs from one queue."""
    compose("up", "-d", "--no-recreate", "--scale", "worker-cpu=3")
    compose.wait_until_ready(engines=3)
    jobs = [compose.submit(n=LONG) for _ in range(3)]
    for job in jobs:
        compose.until(job.id, sampling)
    with compose.http() as http:
        for job in jobs:
            http.delete(f"/jobs/{job.id}")
    assert {compose.until(job.id, final).status for job in jobs} == {JobStatus.CANCELLED}


def test_what_the_page_tells_operators_to_type_works(compose: Compose, tmp_path: Path) -> None:
    """In its order: a key that comes and goes, another password, more workers, a backup, an empty store, the backup in it."""
    before, alices = compose.execute("redis", "cat", "/secrets/redis/password"), ""
    for command in commands_of("compose"):
        said = compose.type(command, tmp_path)
        if " keys create " in command:
            alices = said.splitlines()[-1]
            wait_for_status(compose, alices, 200)
        if " keys revoke " in command:
            wait_for_status(compose, alices, 401)
        if "radii memory" in command:
            assert "holds" in said, said
        if " up " in f"{command} ":
            compose.wait_until_ready(engines=2 if "--scale" in command else 1)
    assert compose.execute("redis", "cat", "/secrets/redis/password") != before
    assert alices
    assert not list(tmp_path.glob("*.part"))
    again = compose.until(compose.submit(wait=30, n=500, adapt="true", memory="default").id, final)
    assert again.certificate is not None
    assert again.certificate.memory.outcome == "repeated", "the backup does not hold the memory"


def test_a_store_that_holds_something_is_not_restored_over(compose: Compose) -> None:
    """Nor is an empty one by a file that is no snapshot."""
    restore = ["docker", "run", "--rm", "-i", "--entrypoint", "restore"]
    full = subprocess.run(
        [*restore, "-v", f"{compose.project}_store:/store", "radii-redis"],
        input=b"REDIS0011",
        capture_output=True,
    )
    assert full.returncode == 1
    assert b"not empty" in full.stderr
    nonsense = subprocess.run([*restore, "radii-redis"], input=b"<html>", capture_output=True)
    assert nonsense.returncode == 1
    assert b"no snapshot" in nonsense.stderr


def test_no_secret_is_in_a_log_or_in_what_docker_shows(compose: Compose) -> None:
    """After all of the above; `down` has taken the first containers' logs, which were looked at before."""
    require_no_secret(compose)


def require_no_secret(compose: Compose) -> None:
    """Searches logs, environments and labels."""
    password = compose.execute("redis", "cat", "/secrets/redis/password")
    logs = compose("logs", "--no-color")
    shown = json.dumps(compose.containers())
    assert "Ready to accept connections" in logs
    for secret in (password, compose.key):
        assert len(secret) >= 40
        assert secret not in logs
        assert secret not in shown
