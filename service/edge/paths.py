"""A request's path as routes see it, and which paths submit a job."""

from typing import Final

from starlette.types import Scope

_SUBMITTING: Final = frozenset({"/certify", "/certify/json", "/predict", "/predict/json"})


def path_of(scope: Scope) -> str:
    """Returns the path without the prefix that a proxy adds.

    >>> path_of({"path": "/radii/docs", "root_path": "/radii"}), path_of({"path": "/docs"})
    ('/docs', '/docs')
    """
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def is_submission(scope: Scope) -> bool:
    """Whether a request submits a job. No other request has a body that is read."""
    return scope["method"] == "POST" and path_of(scope) in _SUBMITTING
