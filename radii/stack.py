"""Store, API and workers on one machine, as child processes of this one."""

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import httpx
import redis
from pydantic import ValidationError

from contract.redis_url import describe_settings, full_redis_url
from radii import embedded, own_key
from radii.errors import CommandError
from workers.process.child import Child, KeepsDying
from workers.settings import WorkerSettings

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 10.0
START_SECONDS = 180.0


class StackFailure(CommandError):
    """The stack did not come up, or a part of it keeps dying."""


@dataclass(frozen=True)
class StackPlan:
    """What to start.

    Attributes:
        data_dir: Where the embedded store keeps its files.
        redis_url: A server to use instead of the embedded one.
        api_keys: The API's file of keys; a key is made in ``data_dir`` if None.
        auth: Whether keys are asked for; only an API on loopback may do without.
        workers: Number of workers; they share the cores.
        environment: Further ``RADII_*`` settings for API and workers.
        stop_grace: Seconds that running jobs get in the end; ``RADII_STOP_GRACE``, or else 10, if None.
        log: Where the children write; this process's standard error if None.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    redis_url: str | None = None
    api_keys: Path | None = None
    auth: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    stop_grace: float | None = None
    log: IO[str] | None = None


class Stack:
    """The running parts. Use as a context manager: leaving it stops them in order."""

    def __init__(self, plan: StackPlan) -> None:
        self._plan = plan
        self._children: list[Child] = []
        self._environment = {**os.environ, **plan.environment}
        self._stop_grace = _grace() if plan.stop_grace is None else plan.stop_grace
        self.redis_url = ""
        self.url = f"http://{_reachable(plan.host)}:{plan.port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        plan = self._plan
        require_free(plan.host, plan.port)
        self._set_access()
        if plan.redis_url:
            # The children read the file of the password themselves, if there is one.
            password_file = self._environment.get("RADII_REDIS_PASSWORD_FILE")
            try:
                self.redis_url = full_redis_url(plan.redis_url, password_file)
            except ValueError as error:
                raise StackFailure(str(error)) from None
            self._environment["RADII_REDIS_URL"] = plan.redis_url
        else:
            self._environment.pop("RADII_REDIS_PASSWORD_FILE", None)  # it is another server's
            self.redis_url = self._start_store()
            self._environment["RADII_REDIS_URL"] = self.redis_url
        self._environment["RADII_STOP_GRACE"] = str(self._stop_grace)
        # Workers that share cores without knowing of each other slow each other down.
        threads = max(1, (os.cpu_count() or 1) // plan.workers)
        self._environment.setdefault("RADII_THREADS", str(threads))
        self._wait_for_store(self.redis_url)
        self._run("API", "radii", "api", "--lifeline", "--host", plan.host, "--port", str(plan.port))
        for number in range(1, plan.workers + 1):
            self._run(f"worker {number}", "radii", "worker", "--lifeline")

    def _set_access(self) -> None:
        """Sets up the API's keys.

        Raises:
            StackFailure: The API would refuse to start.
        """
        plan = self._plan
        if plan.auth and plan.api_keys is None:
            own_key.make_own_key(plan.data_dir)
        file = plan.api_keys or own_key.hashed_file(plan.data_dir)
        settings = {"auth": "keys" if plan.auth else "off", "host": plan.host}
        settings |= {"api_keys_file": str(file.absolute())} if plan.auth else {}
        _require_guard(settings)
        self._environment |= {f"RADII_{name.upper()}": value for name, value in settings.items()}

    @property
    def api_key(self) -> str:
        """The key that was made in the data directory."""
        return own_key.plain_file(self._plan.data_dir).read_text(encoding="utf-8").strip()

    def _start_store(self) -> str:
        os.close(embedded.lock(self._plan.data_dir))  # so that a directory in use is an error here
        port = free_port()
        self._run("store", "radii.embedded", str(self._plan.data_dir), "--port", str(port))
        return embedded.url(self._plan.data_dir, port)

    def _run(self, name: str, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._children.append(Child(name, command, self._environment, self._plan.log))

    def _wait_for_store(self, redis_url: str) -> None:
        client = redis.Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=5)
        for _ in self._until("the store", START_SECONDS):
            try:
                client.ping()
            except redis.exceptions.AuthenticationError as error:
                raise StackFailure(f"the store refuses us: {error}") from error
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                # Loading its files, or not yet listening; a server of somebody else's is not waited for.
                if self._plan.redis_url and not isinstance(error, redis.exceptions.BusyLoadingError):
                    raise StackFailure(f"no Redis server answers at the given address: {error}") from error
                continue
            client.close()
            return

    def wait_until_ready(self) -> None:
        """Waits until the API answers and a worker has a model ready.

        Raises:
            StackFailure: It took longer than `START_SECONDS`.
        """
        with httpx.Client(timeout=2) as http:
            for _ in self._until("the API and a worker", START_SECONDS):
                try:
                    if http.get(f"{self.url}/readyz").status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    continue

    def _until(self, what: str, seconds: float) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.keep_running()
            yield
            time.sleep(_POLL_SECONDS)
        raise StackFailure(f"{what} did not come up within {seconds:g} s")

    def keep_running(self) -> None:
        """Restarts the parts that have died.

        Raises:
            StackFailure: A part dies as often as it is started.
        """
        for child in self._children:
            try:
                child.keep_running()
            except KeepsDying as error:
                raise StackFailure(str(error)) from error

    def pid(self, name: str) -> int:
        """Returns the process id of a part, such as `API` or `worker 1`; each start gives it another."""
        return next(child.process.pid for child in self._children if child.name == name)

    def stop(self) -> None:
        """Stops in order: no new requests, then no running jobs, then the store."""
        store = [child for child in self._children if child.name == "store"]
        front = [child for child in self._children if child.name != "store"]
        for child in front:
            child.ask()
        for child in front:
            child.stop(grace=self._stop_grace + 10)
        for child in store:
            child.stop(grace=30)
        self._children.clear()


def _grace() -> float:
    """Returns the operator's setting; else less than a lone worker's, since a person is waiting."""
    settings = WorkerSettings()
    return settings.stop_grace if "stop_grace" in settings.model_fields_set else _GRACE_SECONDS


def _reachable(host: str) -> str:
    """Returns the host for a URL of the API; loopback if it listens on all addresses."""
    if host == "0.0.0.0":  # noqa: S104 (compared, not bound)
        return "127.0.0.1"
    if ":" not in host:
        return host
    return "[::1]" if host == "::" else f"[{host}]"  # the API listens on IPv6 alone


def _require_guard(settings: Mapping[str, str]) -> None:
    """Raises for settings with which the API would not start."""
    from service.edge.auth import open_guard
    from service.settings import Misconfiguration, ServiceSettings

    try:
        open_guard(ServiceSettings.model_validate(settings))  # and what the environment says besides
    except ValidationError as error:
        raise StackFailure(describe_settings(error)) from None
    except Misconfiguration as error:
        raise StackFailure(str(error)) from None


def free_port() -> int:
    """Returns a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(host: str, port: int) -> None:
    """Raises when the port is taken, before anything is started.

    Raises:
        StackFailure: Names the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StackFailure(f"'port' must be free, got {port} on {host}: {error.strerror}") from error


def tail(log: Path, lines: int = 20) -> str:
    """Returns the end of the children's output."""
    return "".join(log.read_text().splitlines(keepends=True)[-lines:])
