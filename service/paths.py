"""A request's path, as routes know it."""

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """Returns the path without the prefix under which a proxy shows the API.

    >>> path_of({"path": "/radii/docs", "root_path": "/radii"}), path_of({"path": "/docs"})
    ('/docs', '/docs')
    """
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"
