"""The faults: each is injected, healed, and over when every API serves a job again."""

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from contract import keys
from tests.chaos.clients import MODEL
from tests.chaos.cluster import Cluster
from tests.chaos.history import Fault, History
from tests.support.pictures import grey_level
from tests.support.processes import kill
from tests.support.proxy import Link
from tests.support.service import is_ready, is_there
from tests.support.waiting import until

RECOVERY_SECONDS = 90.0
"""In which the stack has to serve again after any fault."""

WORKER_FORGOTTEN = 115.0  # longer than RQ remembers a worker that is silent
JUST_A_MOMENT = 2.0
STRIKES = 4
FORGIVEN_AFTER = 150.0  # five deaths in a row within 30 s of a start take less
SECTIONS_OF_A_COMMAND = b"*3\r\n$3\r\nSET\r\n$16\r\nradii:chaos:torn\r\n$100\r\nhalf of a"


class Nemesis:
    """Injects one fault after another, each kind once in a shuffled order and then at random."""

    def __init__(self, cluster: Cluster, history: History, folder: Path, *, patient: bool) -> None:
        self._cluster = cluster
        self._history = history
        self._random = random.Random(f"{history.seed}/nemesis")
        self._patient = patient
        self.marker = folder / "must-not-exist"
        self._note = ""
        self._strikes: defaultdict[tuple[str, int], list[float]] = defaultdict(list)

    def run(self, seconds: float) -> None:
        """Goes on for so long, and at least until every kind of fault was there once."""
        deadline = time.monotonic() + seconds
        faults = list(self.kinds().items())
        self._random.shuffle(faults)
        while faults or time.monotonic() < deadline:
            name, fault = faults.pop() if faults else self._random.choice(list(self.kinds().items()))
            self.inject(name, fault)
            if self._cluster.failures:
                return
            time.sleep(self._random.uniform(0, 0.5))

    def kinds(self) -> dict[str, Callable[[], None]]:
        """All faults by name."""
        return {
            "kill engine": self._kill(self._cluster.engine),
            "kill relay": self._kill(self._cluster.relay),
            "kill queue worker": self._kill(self._cluster.queue_worker),
            "kill supervisor": self._kill_supervisor,
            "kill whole worker": self._kill_worker,
            "kill API": self._stop_api(signal.SIGKILL),
            "pause engine": self._pause(self._cluster.engine),
            "pause queue worker": self._pause(self._cluster.queue_worker),
            "pause relay": self._pause(self._cluster.relay),
            "restart API": self._stop_api(signal.SIGTERM),
            "restart workers": self._restart_workers,
            "stop store": self._stop_store(signal.SIGTERM),
            "kill store": self._stop_store(signal.SIGKILL),
            "tear store's file": self._tear,
            "fill store": self._fill,
            "store may evict": self._evict,
            "cut link": self._link(Link.CUT, JUST_A_MOMENT),
            "slow link": self._link(Link.SLOW, JUST_A_MOMENT),
            "silent link": self._link(Link.SILENT, 4.0),
            "garbage": self._garbage,
        }

    def inject(self, name: str, fault: Callable[[], None]) -> Fault:
        """Injects and heals a fault, and waits until the stack serves again."""
        self._note = ""
        record = Fault(name, time.monotonic())
        self._history.faults.append(record)
        fault()
        record.healed, record.note = time.monotonic(), self._note
        try:
            until(self._serves, f"not served after '{name}'", RECOVERY_SECONDS)
        except AssertionError as error:
            self._history.violation(str(error))
        record.recovered = time.monotonic()
        return record

    def _serves(self) -> bool:
        """Whether every API is ready, and a job that is sent to one of them succeeds."""
        urls = self._cluster.urls
        if not all(map(is_ready, urls)):
            return False
        try:
            response = httpx.post(
                f"{self._random.choice(urls)}/certify",
                files={"image": grey_level(self._random.randrange(256))},
                data={"model": MODEL, "sigma": "1.0", "n": "100", "memory": "off"},
                headers={"Prefer": "wait=5"},
                timeout=20,
            )
        except httpx.TransportError:
            return False
        return response.status_code == 200 and response.json()["status"] == "succeeded"

    def _one(self) -> int:
        return self._random.randrange(2)

    def _busy_moment(self) -> None:
        """Faults hit between any two steps of a job."""
        time.sleep(self._random.uniform(0, 0.3))

    def _kill(self, process: Callable[[int], int | None]) -> Callable[[], None]:
        def inject() -> None:
            """Whoever comes first: a relay is there only while it has a job."""
            deadline = time.monotonic() + 5
            self._busy_moment()
            while not kill(process(self._one())) and time.monotonic() < deadline:
                time.sleep(0.01)

        return inject

    def _strikable(self, part: str, chosen: tuple[int, ...] = (0, 1)) -> int | None:
        """One of such parts; None where all were struck so often that they would be taken for broken.

        The stack gives up on a part that dies five times in a row within 30 s of its start, as it should.
        """
        now = time.monotonic()
        for number in self._random.sample(chosen, len(chosen)):
            recent = [moment for moment in self._strikes[part, number] if now - moment < FORGIVEN_AFTER]
            if len(recent) < STRIKES:
                self._strikes[part, number] = [*recent, now]
                return number
        self._note = "nobody"
        return None

    def _kill_supervisor(self) -> None:
        self._busy_moment()
        number = self._strikable("worker")
        if number is not None:
            kill(self._cluster.supervisor(number))

    def _kill_worker(self) -> None:
        """All its processes at once, as a machine that loses its power."""
        number = self._strikable("worker")
        if number is None:
            return
        cluster = self._cluster
        pids = [
            cluster.relay(number),
            cluster.queue_worker(number),
            cluster.supervisor(number),
            cluster.engine(number),
        ]
        self._note = f"{[kill(pid) for pid in pids]}"

    def _stop_api(self, number: int) -> Callable[[], None]:
        def inject() -> None:
            which = self._strikable("API")
            if which is None:
                return
            url, pid = self._cluster.urls[which], self._cluster.api(which)
            with self._history.down(url):
                kill(pid, number)
                until(lambda: self._cluster.api(which) != pid, "the API was not started again")
                until(lambda: is_there(url), "the API did not come back")

        return inject

    def _pause(self, process: Callable[[int], int | None]) -> Callable[[], None]:
        def inject() -> None:
            self._busy_moment()
            pid = process(self._one())
            seconds = (
                WORKER_FORGOTTEN
                if self._patient and self._random.random() < 0.2
                else self._random.uniform(0.5, 3)
            )
            self._note = f"{seconds:.1f} s, {'somebody' if kill(pid, signal.SIGSTOP) else 'nobody'}"
            time.sleep(seconds)
            kill(pid, signal.SIGCONT)

        return inject

    def _restart_workers(self) -> None:
        """One of them, or with patience one after the other."""
        for chosen in ((0,), (1,)) if self._patient else ((0, 1),):
            number = self._strikable("worker", chosen)
            if number is not None:
                pid = self._cluster.supervisor(number)
                kill(pid, signal.SIGTERM)
                until(partial(self._has_another, number, pid), "no new worker")

    def _has_another(self, number: int, pid: int) -> bool:
        return self._cluster.supervisor(number) != pid

    def _stop_store(self, number: int) -> Callable[[], None]:
        def inject() -> None:
            self._busy_moment()
            if self._strikable("store", (0,)) is None:
                return
            server = self._cluster.server()
            kill(server, number)
            until(lambda: not Path(f"/proc/{server}").exists(), "the store did not end")
            self._cluster.wait_for_store()

        return inject

    def _tear(self) -> None:
        """A power cut in the middle of a write, which nobody was told of yet."""
        if self._strikable("store", (0,)) is None:
            return
        server = self._cluster.server()
        with self._cluster.hold_store():
            kill(server)
            until(lambda: not Path(f"/proc/{server}").exists(), "the store did not end")
            self._cluster.append_to_log(SECTIONS_OF_A_COMMAND)
            time.sleep(self._random.uniform(0, 1))
        self._cluster.wait_for_store()

    def _fill(self) -> None:
        """Less memory than is used: every write is refused."""
        self._for_a_while("maxmemory", "1mb", "0")

    def _evict(self) -> None:
        """Not ready, since it could forget; nothing is evicted, for there is no limit."""
        self._for_a_while("maxmemory-policy", "allkeys-lru", "noeviction", ready=False)

    def _for_a_while(self, name: str, value: str, healthy: str, *, ready: bool = True) -> None:
        self._cluster.redis.config_set(name, value)
        try:
            if not ready and is_ready(self._cluster.urls[0]):
                self._history.violation(f"ready although {name} is {value}")
            time.sleep(JUST_A_MOMENT)
        finally:
            self._cluster.redis.config_set(name, healthy)

    def _link(self, link: Link, seconds: float) -> Callable[[], None]:
        def inject() -> None:
            self._busy_moment()
            self._cluster.proxy.set(link)
            time.sleep(seconds)
            self._cluster.proxy.set(Link.UP)

        return inject

    def _garbage(self) -> None:
        """What somebody who can write to Redis might put on the queue; at the end none of it may be there."""
        redis, queue = self._cluster.redis, f"rq:queue:{keys.QUEUE}"
        ids: list[bytes] = [b"\xff\xfe\xfd", b"a b/..", b"no-such-job"]
        records: list[dict[str, str]] = [
            {"data": "\x80\x04garbage", "status": "queued", "origin": keys.QUEUE},
            {"data": _call("subprocess.check_output", [["touch", str(self.marker)]]), "status": "queued"},
            {"data": _call("os.system", [f"touch {self.marker}"]), "status": "queued", "origin": "elsewhere"},
            {"data": _call(keys.CERTIFY_TASK, [{"version": 99}]), "status": "queued", "origin": keys.QUEUE},
            {"data": _call(keys.CERTIFY_TASK, []), "status": "bogus", "origin": keys.QUEUE},
            {"status": "queued"},
        ]
        for number, record in enumerate(records):
            job = f"garbage-{self._random.getrandbits(32):08x}-{number}"
            redis.hset(f"rq:job:{job}", mapping={"created_at": "2026-01-01T00:00:00.000000Z", **record})
            ids.append(job.encode())
        redis.set("rq:job:text", "no hash", ex=600)
        ids.append(b"text")
        self._random.shuffle(ids)
        redis.rpush(queue, *ids)


def _call(name: str, arguments: list[object]) -> str:
    import json

    return json.dumps([name, None, arguments, {}])


class Watchdog(threading.Thread):
    """`/livez` says alive, promptly, whatever happens to the store; a dead API is another matter."""

    def __init__(self, urls: list[str], history: History, stopping: threading.Event) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._urls = urls
        self._history = history
        self._stopping = stopping

    def run(self) -> None:
        while not self._stopping.wait(0.5):
            for url in self._urls:
                begin = time.monotonic()
                if not is_there(url) and not self._history.was_down(url, begin, time.monotonic()):
                    self._history.violation(f"{url}/livez was silent at {begin - self._history.started:.1f}")
