"""Writes the file of API keys, atomically: readers see all of the old file, or all of the new one."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from radii.errors import CommandError
from service.edge.api_keys import ApiKey, KeyFile, parse_keys


def read(file: Path) -> list[ApiKey]:
    """Returns the keys of a file; none if there is no file.

    Raises:
        Misconfiguration: It is no file of keys.
        OSError: It cannot be read.
    """
    return parse_keys(file.read_text(encoding="utf-8"), file).keys if file.exists() else []


def add(file: Path, key: ApiKey) -> None:
    """Adds a key.

    Raises:
        CommandError: A key of this name exists.
    """
    with _alone(file):
        keys = read(file)
        if any(known.name == key.name for known in keys):
            raise CommandError(f"'name' must be new, and '{file}' has a key '{key.name}': revoke it first")
        _write(file, [*keys, key])


def remove(file: Path, name: str) -> None:
    """Removes a key.

    Raises:
        CommandError: No key has this name.
    """
    with _alone(file):
        keys = read(file)
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            there = ", ".join(key.name for key in keys)
            raise CommandError(
                f"'name' must be the name of a key in '{file}', got '{name}'; it has: {there or 'none'}"
            )
        _write(file, left)


def write_private(file: Path, text: str) -> None:
    """Writes a file atomically; only its owner may read it, unless an earlier file had other permissions."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        if file.exists():
            part.chmod(file.stat().st_mode & 0o777)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _write(file: Path, keys: list[ApiKey]) -> None:
    write_private(file, KeyFile(keys=keys).model_dump_json(indent=2) + "\n")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keeps two commands from undoing each other. Locks the folder, since the file itself is replaced."""
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
