"""What was found, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. `skip`: it could not be looked at here, and why."""

    OK = "ok"
    SKIP = "skip"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What.
        level: How bad.
        message: What was found.
        advice: What to do; empty if nothing.
    """

    check: str
    level: Level
    message: str
    advice: str = ""


def ok(check: str, message: str) -> Finding:
    """Makes a finding that is as it should be."""
    return Finding(check, Level.OK, message)


def skip(check: str, message: str) -> Finding:
    """Makes a finding about what could not be looked at."""
    return Finding(check, Level.SKIP, message)


def warn(check: str, message: str, advice: str) -> Finding:
    """Makes a finding that an operator should know of."""
    return Finding(check, Level.WARN, message, advice)


def fail(check: str, message: str, advice: str) -> Finding:
    """Makes a finding that keeps the service from what it promises."""
    return Finding(check, Level.FAIL, message, advice)


def guarded(check: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Returns what a look finds; an error in it is a finding, too, so that one fault hides no other."""
    found: list[Finding] = []
    try:
        found += look()
    except Exception as error:
        advice = "this check itself failed; the others stand"
        found.append(fail(check, f"{type(error).__name__}: {error}", advice))
    return found
