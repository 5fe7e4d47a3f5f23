"""The journal of an evaluation: a plan, then a line per measurement, each on disk before the next begins."""

import fcntl
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan

Row = dict[str, Any]

_FORMAT = 1
_NAME = "journal.jsonl"


class Journal:
    """Measurements of one plan in one folder. Use as a context manager; one process at a time has it.

    A line that was cut off by a crash is dropped, and what it was about is measured again. Another plan is
    refused, but for its suites: a folder may get more of them.

    Attributes:
        run: Random name of this journal, by which a service knows its jobs again.

    Raises:
        EvaluationError: The folder cannot be written, another process works on the journal, or it is of
            another plan, or damaged.
    """

    def __init__(self, folder: Path, plan: EvaluationPlan) -> None:
        self.path = folder / _NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise EvaluationError(
                f"'out' must be a folder that can be written, got {folder}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise EvaluationError(
                f"'out' must be no other evaluation's at this time, got {folder}: another process works there"
            ) from error
        self._rows: dict[tuple[str, str], Row] = {}
        self._plan = plan
        try:
            known = self._read(plan)
        except BaseException:
            os.close(self._file)
            raise
        self._begun = known is not None
        self.run = known or secrets.token_hex(16)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._begun:
            self.path.unlink()
            with suppress(OSError):  # it may hold other things
                self.path.parent.rmdir()
        os.close(self._file)

    def begin(self) -> None:
        """Write the header, unless it is there. Nothing is left behind by a journal that never began."""
        if self._begun:
            return
        header = {"format": _FORMAT, "run": self.run, "plan": self._plan.model_dump(mode="json")}
        self._write(json.dumps(header, allow_nan=False))
        directory = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(directory)  # the file's name is on disk, too
        os.close(directory)
        self._begun = True

    def get(self, suite: str, key: str) -> Row | None:
        """Return what was measured, or None."""
        return self._rows.get((suite, key))

    def rows(self, suite: str) -> list[Row]:
        """Return all that was measured for a suite."""
        return [row for (measured, _), row in self._rows.items() if measured == suite]

    def append(self, suite: str, key: str, row: Row) -> Row:
        """Keep a measurement, and return it as it will be read: it is on disk by then."""
        self.begin()
        line = json.dumps({"suite": suite, "key": key, "row": row}, allow_nan=False)
        self._write(line)
        kept: Row = json.loads(line)["row"]
        self._rows[suite, key] = kept
        return kept

    def _read(self, plan: EvaluationPlan) -> str | None:
        """Read all whole lines; return the run's name, or None if there is not even a header."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)
        lines = content[:whole].splitlines()
        if not lines:
            return None
        header = self._parse(lines[0], 1)
        self._require_same(header, plan)
        for number, line in enumerate(lines[1:], start=2):
            entry = self._parse(line, number)
            self._rows[str(entry["suite"]), str(entry["key"])] = entry["row"]
        return str(header["run"])

    def _parse(self, line: bytes, number: int) -> Row:
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise EvaluationError(f"{self.path}: line {number} must be JSON, got {line[:80]!r}") from error
        wanted = {"format", "run", "plan"} if number == 1 else {"suite", "key", "row"}
        if not isinstance(entry, dict) or set(entry) != wanted:
            raise EvaluationError(f"{self.path}: line {number} must have {sorted(wanted)}, got {line[:80]!r}")
        return entry

    def _require_same(self, header: Row, plan: EvaluationPlan) -> None:
        if header["format"] != _FORMAT:
            raise EvaluationError(f"{self.path}: the format must be {_FORMAT}, got {header['format']!r}")
        try:
            before = EvaluationPlan.model_validate(header["plan"])
        except ValidationError as error:
            raise EvaluationError(f"{self.path}: its plan is not understood: {error}") from error
        others = _differences("", before.model_dump(mode="json"), plan.model_dump(mode="json"))
        if others:
            raise EvaluationError(
                f"'out' must hold no evaluation or one of this very plan, got {self.path.parent}: "
                + "; ".join(others)
            )

    def _write(self, line: str) -> None:
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)


def set_aside(folder: Path, plan: EvaluationPlan) -> Path | None:
    """Rename the journal of a folder if it is of another plan, so that a new one can begin."""
    path = folder / _NAME
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as lines:
        begun = json.loads(lines.readline())["plan"]
    if EvaluationPlan.model_validate(begun) == plan:
        return None
    return path.replace(path.with_name("journal.stale.jsonl"))


def _differences(name: str, before: Any, now: Any) -> list[str]:
    """Return in which fields two plans differ, but for the suites."""
    if name == "suites" or before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        fields = [*before, *(field for field in now if field not in before)]
        inner = [
            _differences(f"{name}.{field}".lstrip("."), before.get(field), now.get(field)) for field in fields
        ]
        return [difference for some in inner for difference in some]
    return [f"'{name}' was {before!r} and is {now!r} now"]
