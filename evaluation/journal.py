"""The journal of an evaluation: one SQLite file with the plan and every measurement, each on disk at once."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from pydantic import ValidationError

from evaluation.errors import EvaluationError, OtherPlanError
from evaluation.plan import EvaluationPlan

Row = dict[str, Any]

_NAME: Final = "journal.sqlite"
_EARLIER: Final = "journal.jsonl"  # a line of JSON per measurement, the header first
_FORMAT: Final = 1
_HEADER: Final = ("journal", "header")  # suite and key under which format, run and plan are kept
_TABLE: Final = "measurements (suite TEXT, key TEXT, row TEXT NOT NULL, PRIMARY KEY (suite, key))"


class Journal:
    """Measurements of one plan in one folder. Use as a context manager; one process at a time has it.

    A kill or a power failure loses at most the measurement under way. Another plan is refused, except for its
    suites: a folder may get more of them. The ``journal.jsonl`` of an earlier version is copied, and stays.

    Attributes:
        path: The file.
        run: Random name of this journal, by which a service finds its jobs again.

    Raises:
        OtherPlanError: The journal belongs to another plan.
        EvaluationError: The folder cannot be written, another process uses the journal, or it is damaged.
    """

    def __init__(self, folder: Path, plan: EvaluationPlan) -> None:
        self.path = folder / _NAME
        self._plan = plan
        self._empty = False  # until it is known
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._created = not self.path.exists()  # no file of others is removed
        except OSError as error:
            raise _unwritable(folder, error.strerror) from error
        with self._explained():
            self._store = sqlite3.connect(self.path, timeout=0)
        try:
            with self._explained():
                self._lock()
            self.run = self._known_run() or secrets.token_hex(16)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
        if self._empty and self._created:
            self.path.unlink()
            with suppress(OSError):  # it may hold other files
                self.path.parent.rmdir()

    def begin(self) -> None:
        """Write run and plan, unless they are there. A journal that never began leaves no file behind."""
        if self._empty:
            header = {"format": _FORMAT, "run": self.run, "plan": self._plan.model_dump(mode="json")}
            self._insert([(*_HEADER, header)])

    def get(self, suite: str, key: str) -> Row | None:
        """Return what was measured, or None."""
        found = self._store.execute("SELECT row FROM measurements WHERE suite = ? AND key = ?", (suite, key))
        return next((json.loads(text) for (text,) in found), None)

    def rows(self, suite: str) -> list[Row]:
        """Return all that was measured for a suite, in the order of measuring."""
        found = self._store.execute("SELECT row FROM measurements WHERE suite = ? ORDER BY rowid", (suite,))
        return [json.loads(text) for (text,) in found]

    def append(self, suite: str, key: str, row: Row) -> None:
        """Keep a measurement: it is on disk when this returns."""
        self.begin()
        self._insert([(suite, key, row)])

    def _lock(self) -> None:
        """Take the file for this process, until it is closed."""
        self._store.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._store.execute("PRAGMA synchronous = EXTRA")
        self._store.execute("BEGIN EXCLUSIVE")
        tables = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name != 'measurements'"
        if self._store.execute(tables).fetchone():
            raise EvaluationError(f"{self.path}: must be the journal of an evaluation, got another database")
        self._store.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE}")
        self._store.commit()

    def _known_run(self) -> str | None:
        """Return the name of the run that was begun in this folder, by an earlier version perhaps."""
        header, earlier = self.get(*_HEADER), self.path.with_name(_EARLIER)
        self._empty = header is None
        if header is not None:
            self._require_same(header, self.path)
        elif earlier.exists() and (found := _read_lines(earlier)) is not None:
            header, entries = found
            self._require_same(header, earlier)
            self._insert([(*_HEADER, header), *entries])
        return None if header is None else str(header["run"])

    def _require_same(self, header: Any, path: Path) -> None:
        if not isinstance(header, dict) or not {"format", "run", "plan"} <= header.keys():
            raise EvaluationError(f"{path}: must begin with format, run and plan, got {header!r:.200}")
        if header["format"] != _FORMAT:
            raise EvaluationError(f"{path}: the format must be {_FORMAT}, got {header['format']!r}")
        try:
            before = EvaluationPlan.model_validate(header["plan"])
        except ValidationError as error:
            raise EvaluationError(f"{path}: its plan is not understood: {error}") from error
        others = _differences("", before.model_dump(mode="json"), self._plan.model_dump(mode="json"))
        if others:
            raise OtherPlanError(
                f"'out' must hold no evaluation or one of this very plan, got {path.parent}: "
                + "; ".join(others)
            )

    def _insert(self, entries: Iterable[tuple[str, str, Row]]) -> None:
        texts = [(suite, key, json.dumps(row, allow_nan=False)) for suite, key, row in entries]
        with self._explained(), self._store:
            self._store.executemany("REPLACE INTO measurements VALUES (?, ?, ?)", texts)
        self._empty = False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise what SQLite cannot do as an error of this package."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise EvaluationError(f"'out' is in use by another process: {self.path.parent}") from error
            if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise EvaluationError(f"{self.path}: must be a SQLite database, got one: {error}") from error
            raise _unwritable(self.path.parent, str(error)) from error


def set_aside(folder: Path, plan: EvaluationPlan) -> Path | None:
    """Rename the journal of a folder if it belongs to another plan, so that a new one can begin."""
    try:
        with Journal(folder, plan):
            return None
    except OtherPlanError:
        journals = [folder / name for name in (_NAME, _EARLIER) if (folder / name).exists()]
        aside = [path.replace(path.with_name(f"journal.stale{path.suffix}")) for path in journals]
        return aside[0]


def _read_lines(path: Path) -> tuple[Any, list[tuple[str, str, Row]]] | None:
    """Return header and measurements of an earlier version's journal; None if it ended before its header."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")  # a crash may have cut off the last line
    if not whole:
        return None
    try:
        header, *entries = map(json.loads, whole.splitlines())
        return header, [(entry["suite"], entry["key"], entry["row"]) for entry in entries]
    except (ValueError, TypeError, KeyError) as error:
        raise EvaluationError(f"{path}: must have an object of JSON on each line: {error!r}") from error


def _unwritable(folder: Path, why: str | None) -> EvaluationError:
    return EvaluationError(f"'out' must be a folder that can be written, got {folder}: {why}")


def _differences(name: str, before: Any, now: Any) -> list[str]:
    """Return in which fields two plans differ, except for the suites."""
    if name == "suites" or before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        fields = [*before, *(field for field in now if field not in before)]
        inner = [
            _differences(f"{name}.{field}".lstrip("."), before.get(field), now.get(field)) for field in fields
        ]
        return [difference for some in inner for difference in some]
    return [f"'{name}' was {before!r} and is {now!r} now"]
