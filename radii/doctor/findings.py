"""Findings: what was checked, what was found, what to do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial


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
        message: What was found.
        advice: What to do; empty if nothing.
        level: How bad it is.
    """

    check: str
    message: str
    advice: str = ""
    level: Severity = field(kw_only=True)


ok = partial(Finding, level=Severity.OK)
skip = partial(Finding, level=Severity.SKIP)
warn = partial(Finding, level=Severity.WARN)  # something that an operator should know
fail = partial(Finding, level=Severity.FAIL)  # something that breaks a promise of the service


def guarded(check: str, findings: Iterator[Finding]) -> list[Finding]:
    """Returns the findings of a check; an error in the check is a finding too, and hides no other."""
    found: list[Finding] = []
    try:
        found += findings
    except Exception as error:
        advice = "this check itself failed; the others are valid"
        found.append(fail(check, f"{type(error).__name__}: {error}", advice))
    return found
