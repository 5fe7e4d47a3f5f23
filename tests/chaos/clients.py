"""Clients that do everything a client may do, and some things that it may not."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from httpx_sse import connect_sse

from tests.chaos.history import CLIENT_TIMEOUT, History, Operation
from tests.support.pictures import grey_level

MODEL = "by-noise"
"""Answers by the roughness of what it sees: certificates at two levels contradict each other."""

POISON = "poison"
"""Kills its engine when it sees a black picture."""

DAMAGED = "damaged"
"""Its weights are not those that its card speaks of."""

NAMESPACES = ("chaos-a", "chaos-b")
_PATIENCE = 1.0  # seconds at most that a refused client waits, whatever it is told
_RETRIES = 3


class Api:
    """Requests to one API process, each written into the history."""

    def __init__(self, url: str, history: History) -> None:
        self.url = url
        self._history = history
        # A connection for each request: one that is reused may have been closed by a restart meanwhile.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=url, timeout=CLIENT_TIMEOUT, limits=limits)

    def ask(
        self, name: str, method: str, path: str, *, job: str | None = None, note: str = "", **options: Any
    ) -> Operation:
        """Sends one request."""
        op = Operation(name, time.monotonic(), job=job, note=note)
        try:
            response = self.http.request(method, path, **options)
            op.end = time.monotonic()
            op.status = response.status_code
            op.retry_after = response.headers.get("Retry-After")
            op.body = response.json() if "json" in response.headers.get("Content-Type", "") else response.text
            if isinstance(op.body, dict) and op.job is None and op.status in (200, 202):
                op.job = op.body.get("id")
        except httpx.TransportError as error:
            op.end = time.monotonic()
            self.explain(op, error)
        self._history.add(op)
        return op

    def explain(self, op: Operation, error: Exception) -> None:
        """Only an API that is away may leave a request without an answer."""
        expected = self._history.was_down(self.url, op.begin, op.end)
        op.note = f"{'expected' if expected else 'unexpected'} {type(error).__name__}: {error}"


class Client(threading.Thread):
    """Submits jobs, follows them or not, gives them up or not, until it is told to stop."""

    def __init__(self, number: int, urls: list[str], history: History, stopping: threading.Event) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._random = random.Random(f"{history.seed}/client/{number}")
        self._apis = [Api(url, history) for url in urls]
        self._history = history
        self._stopping = stopping
        self.streams: dict[str, list[str]] = {}
        self.crash: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._once()
                self._stopping.wait(self._random.expovariate(4))
        except BaseException as error:
            self.crash = error

    @property
    def _api(self) -> Api:
        return self._random.choice(self._apis)

    def _once(self) -> None:
        if self._random.random() < 0.12:
            self._nonsense()
            return
        job = self._submit()
        if job is None:
            return
        ways: list[tuple[Callable[[str], None], int]] = [
            (self._wait, 4),
            (self._follow, 4),
            (self._cancel, 3),
            (self._read, 1),
        ]
        (way,) = self._random.choices([way for way, _ in ways], [weight for _, weight in ways])
        way(job)

    def _submit(self) -> str | None:
        path, fields = self._question()
        key = f"{self._history.seed:x}-{self._random.getrandbits(64):016x}"
        headers = {"Idempotency-Key": key}
        if self._random.random() < 0.25:
            headers["Prefer"] = f"wait={self._random.choice([1, 3])}"
        image = grey_level(self._random.randrange(60, 200))
        for _ in range(_RETRIES):
            op = self._api.ask(
                path[1:], "POST", path, files={"image": image}, data=fields, headers=headers, note=key
            )
            if op.status in (200, 202):
                if self._random.random() < 0.1:  # the answer was lost on its way, as far as the client knows
                    self._api.ask(
                        path[1:], "POST", path, files={"image": image}, data=fields, headers=headers, note=key
                    )
                return op.job
            if op.status not in (None, 429, 503):
                return None
            self._stopping.wait(min(float(op.retry_after or 1), _PATIENCE))
        return None

    def _question(self) -> tuple[str, dict[str, str]]:
        chance = self._random
        fields = {"model": MODEL, "sigma": chance.choice(["0.1", "1.0"])}
        kind = chance.choices(["fixed", "auto", "hybrid", "predict", "long"], [5, 2, 2, 2, 2])[0]
        if chance.random() < 0.5:
            fields["memory"] = chance.choice(NAMESPACES)
        if kind == "predict":
            return "/predict", {**fields, "n": "200"}
        fields["n"] = str(chance.choice([100, 500, 2_000]))
        if kind == "auto":
            del fields["sigma"]
            fields.update(noise_level="auto", sigma_grid="0.1,1.0")
        elif kind == "hybrid":
            fields["noise"] = "hybrid"
        elif kind == "long":
            fields["n"] = str(chance.choice([200_000, 600_000]))
        return "/certify", fields

    def _nonsense(self) -> None:
        good = {"image": grey_level(100)}
        kind = self._random.randrange(6)
        api = self._api
        if kind == 0:
            api.ask("bad", "POST", "/certify", files=good, data={"model": MODEL, "sigma": "-1"})
        elif kind == 1:
            api.ask(
                "bad", "POST", "/certify", files={"image": b"no picture"}, data={"model": MODEL, "sigma": "1"}
            )
        elif kind == 2:
            api.ask("bad", "POST", "/certify", files=good, data={"model": "nobody's", "sigma": "1"})
        elif kind == 3:
            api.ask("bad", "POST", "/certify", content=b"{}", headers={"Content-Type": "text/plain"})
        elif kind == 4:
            api.ask("bad", "GET", f"/jobs/{self._random.getrandbits(128):032x}")
        else:
            api.ask(
                "bad", "POST", "/predict/json", content=b"{", headers={"Content-Type": "application/json"}
            )

    def _read(self, job: str) -> None:
        self._api.ask("job", "GET", f"/jobs/{job}", job=job)

    def _wait(self, job: str) -> None:
        for _ in range(self._random.randint(1, 4)):
            op = self._api.ask("wait", "GET", f"/jobs/{job}", job=job, params={"wait": 2})
            if self._stopping.is_set() or (op.status == 200 and op.body["status"] == "succeeded"):
                break
        self._api.ask("certificate", "GET", f"/certificates/{job}") if self._random.random() < 0.1 else None

    def _cancel(self, job: str) -> None:
        self._stopping.wait(self._random.choice([0, 0.02, 0.1, 0.5, 2]) * self._random.random())
        for _ in range(self._random.choice([1, 1, 2])):
            self._api.ask("cancel", "DELETE", f"/jobs/{job}", job=job)
        self._api.ask("job", "GET", f"/jobs/{job}", job=job)

    def _follow(self, job: str) -> None:
        """By server-sent events; it hangs up now and then and goes on after the last event that it got."""
        ids: list[str] = []
        for _ in range(5):
            hang_up_after = self._random.choice([1, 2, 5, 1000])
            if self._stopping.is_set() or self._stream(job, ids, hang_up_after):
                break
        self.streams[job] = ids

    def _stream(self, job: str, ids: list[str], hang_up_after: int) -> bool:
        """Whether the job's end was told."""
        api = self._api
        op = Operation("events", time.monotonic(), job=job)
        headers = {"Last-Event-ID": ids[-1]} if ids else {}
        try:
            with connect_sse(api.http, "GET", f"/jobs/{job}/events", headers=headers) as source:
                op.status = source.response.status_code
                op.retry_after = source.response.headers.get("Retry-After")
                if op.status != 200:
                    source.response.read()
                    op.body = source.response.json()
                    return False
                for number, event in enumerate(source.iter_sse(), start=1):
                    if event.event == "job":
                        op.body = event.json()
                        return True
                    if event.event != "progress":
                        continue  # a comment: somebody is still there
                    ids.append(event.id)
                    if number >= hang_up_after or self._stopping.is_set():
                        break
            return False
        except httpx.TransportError as error:
            # A stream that has begun may end at any time; the client goes on where it was.
            if op.status is None:
                op.end = time.monotonic()
                api.explain(op, error)
            return False
        finally:
            op.end = time.monotonic()
            self._history.add(op)
