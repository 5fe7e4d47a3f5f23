"""What clients asked and were told, and the check that all of it can be true together."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from contract.choices import JobStatus

CLIENT_TIMEOUT = 20.0
"""Seconds after which a client gives up; the API answers long before, whatever its store does."""


@dataclass
class Operation:
    """One request.

    Attributes:
        name: What was asked, such as `certify` or `cancel`.
        begin: When it was sent, monotonic.
        end: When it was answered.
        status: Of the response; None: there was none.
        job: The job that it was about, or that it made.
        body: Of the response, read as JSON.
        note: The error, or whatever else helps to understand it.
    """

    name: str
    begin: float
    end: float = 0.0
    status: int | None = None
    job: str | None = None
    body: Any = None
    retry_after: str | None = None
    note: str = ""


@dataclass
class Fault:
    """One fault: from its beginning until the stack served again."""

    name: str
    begin: float
    healed: float = 0.0
    recovered: float = 0.0
    note: str = ""


@dataclass
class History:
    """Everything that happened."""

    seed: int
    started: float = field(default_factory=time.monotonic)
    operations: list[Operation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _down: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, operation: Operation) -> None:
        with self._lock:
            self.operations.append(operation)

    def violation(self, words: str) -> None:
        with self._lock:
            self.violations.append(words)

    @contextmanager
    def down(self, url: str) -> Iterator[None]:
        """While an API process is known to be away."""
        window = [time.monotonic(), float("inf")]
        self._down[url].append(window)
        try:
            yield
        finally:
            window[1] = time.monotonic()

    def was_down(self, url: str, begin: float, end: float) -> bool:
        """Whether the API was away at any moment of a request."""
        return any(start <= end and begin <= stop for start, stop in self._down[url])

    def accepted(self) -> set[str]:
        """Jobs whose id was given out."""
        return {
            op.job for op in self.operations if op.name in SUBMISSIONS and op.status in (200, 202) and op.job
        }

    def of(self, job: str) -> str:
        """The history of one job and the faults meanwhile, in words."""
        lines = []
        mine = [op for op in self.operations if op.job == job]
        for op in mine:
            told = op.body.get("status", op.body.get("code")) if isinstance(op.body, dict) else op.body
            lines.append((op.begin, f"{op.name} -> {op.status} {told} until {self._at(op.end)} {op.note}"))
        lines += [
            (fault.begin, f"FAULT {fault.name} until {self._at(fault.recovered)} {fault.note}")
            for fault in self.faults
        ]
        first = min((op.begin for op in mine), default=self.started)
        told = [f"  {self._at(begin)} {words}" for begin, words in sorted(lines) if begin >= first - 30]
        return f"job {job}:\n" + "\n".join(told)

    def _at(self, moment: float) -> str:
        return f"{moment - self.started:8.3f}" if moment else "   never"

    def summary(self) -> str:
        """Seed, counts by operation and answer, and how long the stack took to serve again after each fault."""
        answers = Counter((op.name, op.status or "none") for op in self.operations)
        lines = [f"seed {self.seed}: {len(self.operations)} operations, {len(self.accepted())} jobs accepted"]
        for name in sorted({name for name, _ in answers}):
            counts = ", ".join(
                f"{status}: {count}"
                for (one, status), count in sorted(answers.items(), key=str)
                if one == name
            )
            lines.append(f"  {name:14} {counts}")
        final = Counter(
            str(op.body["status"]) for op in self.operations if op.name == "final" and op.status == 200
        )
        lines.append(
            f"  jobs ended     {', '.join(f'{name}: {count}' for name, count in sorted(final.items()))}"
        )
        by_fault: dict[str, list[float]] = defaultdict(list)
        for fault in self.faults:
            by_fault[fault.name].append(fault.recovered - fault.healed)
        for name, seconds in sorted(by_fault.items()):
            lines.append(
                f"  fault {name:24} x{len(seconds)}, served again after "
                f"{sum(seconds) / len(seconds):.2f} s (at most {max(seconds):.2f})"
            )
        return "\n".join(lines)


SUBMISSIONS = frozenset({"certify", "predict"})


def check_responses(history: History) -> None:
    """No answer is an error of ours, and only an API that is away gives none."""
    for op in history.operations:
        where = f"{op.name} of {op.job} at {op.begin - history.started:.3f}: {op.status} {op.note}"
        if op.status is None:
            if op.note.startswith("unexpected"):
                history.violation(f"no answer from an API that was up: {where}")
        elif op.status in (429, 503):
            if not (op.retry_after or "").isdecimal() or "code" not in (op.body or {}):
                history.violation(f"refused without Retry-After or a problem: {where} {op.body}")
        elif op.status >= 500:
            history.violation(f"an error of ours: {where} {op.body}")
        elif op.name == "bad" and not 400 <= op.status < 500:
            history.violation(f"nonsense was accepted: {where}")
        elif op.name in SUBMISSIONS and op.status not in (200, 202):
            history.violation(f"a good request was refused: {where} {op.body}")


def check_jobs(history: History) -> None:
    """Every accepted job reaches one final state, never leaves it, and the state keeps what it promises."""
    by_job: dict[str, list[Operation]] = defaultdict(list)
    for op in history.operations:
        if op.job is not None:
            by_job[op.job].append(op)
    for job in sorted(history.accepted()):
        told = [op for op in by_job[job] if op.status in (200, 202) and _is_job(op.body)]
        finals = sorted((op for op in told if _final(op)), key=lambda op: op.end)
        if not finals:
            history.violation(f"never ended: {history.of(job)}")
            continue
        first = finals[0]
        for op in told:
            if op.begin > first.end and _lasting(op) != _lasting(first):
                history.violation(
                    f"was {first.body['status']} and then {op.body['status']}: {history.of(job)}"
                )
                break
        has_answer = bool(first.body["certificate"] or first.body["prediction"])
        if has_answer != (first.body["status"] == "succeeded"):
            history.violation(f"{first.body['status']} with the wrong answer: {history.of(job)}")
        for op in by_job[job]:
            if op.name == "certificate" and op.status == 200 and op.body != first.body["certificate"]:
                history.violation(f"the certificate is another one: {history.of(job)}")
            if op.name == "verify" and op.status == 200 and not op.body["valid"]:
                history.violation(f"the certificate does not verify: {history.of(job)} {op.body}")
            if op.status == 404:
                history.violation(f"was forgotten: {history.of(job)}")


def check_keys_of_requests(history: History) -> None:
    """One idempotency key, one job."""
    jobs: dict[str, set[str]] = defaultdict(set)
    for op in history.operations:
        if op.name in SUBMISSIONS and op.status in (200, 202) and op.job and op.note:
            jobs[op.note].add(op.job)
    for key, found in jobs.items():
        if len(found) > 1:
            history.violation(f"key {key} made {len(found)} jobs: {sorted(found)}")


def _is_job(body: Any) -> bool:
    return isinstance(body, dict) and "status" in body and "certificate" in body


def _final(op: Operation) -> bool:
    return JobStatus(op.body["status"]).final


def _lasting(op: Operation) -> str:
    """What must not change once a job is final."""
    names = ("status", "certificate", "prediction", "error")
    return json.dumps({name: op.body[name] for name in names}, sort_keys=True)
