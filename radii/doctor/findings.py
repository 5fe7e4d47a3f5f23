"""Findings: what was checked, what was found, what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is; `skip`: it could not be checked here."""

    OK = "ok"
    SKIP = "skip"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check and its result.

    Attributes:
        check: What was checked.
        level: How bad it is.
        message: What was found.
        advice: What to do; empty if nothing.
    """

    check: str
    level: Severity
    message: str
    advice: str = ""


def ok(check: str, message: str) -> Finding:
    """Makes a finding without fault."""
    return Finding(check, Severity.OK, message)


def skip(check: str, message: str) -> Finding:
    """Makes a finding about something that could not be checked."""
    return Finding(check, Severity.SKIP, message)


def warn(check: str, message: str, advice: str) -> Finding:
    """Makes a finding that an operator should know."""
    return Finding(check, Severity.WARN, message, advice)


def fail(check: str, message: str, advice: str) -> Finding:
    """Makes a finding that breaks a promise of the service."""
    return Finding(check, Severity.FAIL, message, advice)


def guarded(check: str, findings: Iterator[Finding]) -> list[Finding]:
    """Returns the findings of a check; an error in the check is a finding too, and hides no other."""
    found: list[Finding] = []
    try:
        found += findings
    except Exception as error:
        advice = "this check itself failed; the others are valid"
        found.append(fail(check, f"{type(error).__name__}: {error}", advice))
    return found
