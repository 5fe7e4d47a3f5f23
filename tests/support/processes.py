"""Processes of this machine: what runs, and signals to it."""

import os
import signal
from pathlib import Path


def kill(pid: int | None, number: int = signal.SIGKILL) -> bool:
    """Sends a signal; whether there was a process to get it."""
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def children(pid: int, words: str = "") -> list[int]:
    """Children of a process whose command line has these words."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return [child for child in found if words in command_line(child) and is_alive(child)]


def command_line(pid: int) -> str:
    """The command of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def with_environment(variable: str) -> list[str]:
    """Processes, other than this one, that have `NAME=value` in their environment: their ids and commands."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if pid != os.getpid() and variable.encode() in environment.split(b"\0") and is_alive(pid):
            found.append(f"{pid} {command_line(pid)}")
    return found
