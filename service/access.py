"""Who asks, and what they may."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fastapi import Request


class Scope(StrEnum):
    """Submit and cancel; read what is theirs; read everybody's, and what operators read."""

    CERTIFY = "certify"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: For logs and limits; unique among the keys.
        tenant: What jobs, certificates and memories are kept apart by; empty without keys.
        scopes: What the caller may do.
    """

    name: str
    tenant: str
    scopes: frozenset[Scope]


ANYBODY: Final = Caller("anybody", "", frozenset(Scope))


def get_caller(request: Request) -> Caller:
    """Dependency: who sent this request."""
    caller: Caller = getattr(request.state, "caller", ANYBODY)
    return caller
