"""The address of Redis, which may contain a password.

No message and no ``repr`` shows the password. An address that cannot be parsed is not shown either, since it
may contain one.
"""

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import AfterValidator, Field, ValidationError

DEFAULT_REDIS_URL: Final = "redis://127.0.0.1:6379/0"
_SCHEMES: Final = ("redis", "rediss", "unix")
_FORM: Final = "must be redis://, rediss:// or unix:// with [user:password@]host:port/number"
_HIDDEN: Final = "redis_url"  # the field whose value is never shown


def require_redis_url(url: str) -> str:
    """Returns the address after checking that it is one of a Redis server.

    Raises:
        ValueError: It is not. The message does not show it.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in _SCHEMES and (parts.scheme == "unix" or parts.port != 0)
    except ValueError:  # not re-raised: its message quotes the address
        known = False
    if not known:
        raise ValueError(f"{_FORM} (not shown: it may hold a password)")
    return url


RedisUrl = Annotated[str, AfterValidator(require_redis_url), Field(repr=False)]


def without_secrets(url: str) -> str:
    """Returns an address without credentials and query, for people.

    >>> without_secrets("redis://:secret@127.0.0.1:6379/0?password=secret")
    'redis://***@127.0.0.1:6379/0'
    """
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.partition("?")[0].rpartition("@")
    return f"{scheme}://{'***' if credentials else ''}{at}{place}"


def with_password_file(values: dict[str, Any]) -> dict[str, Any]:
    """Puts the password of ``redis_password_file``, if that is set, into ``redis_url``.

    Raises:
        ValueError: The file cannot be read, or is empty.
    """
    file = values.get("redis_password_file")
    if file is None:
        return values
    rule = f"'redis_password_file' must be a file that holds a password, got '{file}'"
    try:
        password = Path(file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{rule}: {why}") from None
    if not password:
        raise ValueError(f"{rule}: it is empty")
    return {**values, "redis_url": _with_password(values.get("redis_url", DEFAULT_REDIS_URL), password)}


def full_redis_url(url: str, password_file: str | None) -> str:
    """Returns an address of a command line, with the password from the file, if one is named.

    Raises:
        ValueError: Names what is wrong with the address or the file.
    """
    try:
        require_redis_url(url)
    except ValueError as error:
        raise ValueError(f"'redis-url' {error}") from None
    return str(
        with_password_file({"redis_url": url, "redis_password_file": password_file or None})["redis_url"]
    )


def without_password(url: str) -> str:
    """Returns the address without the password; the inverse of `with_password_file`.

    >>> without_password("redis://me:secret@127.0.0.1:6379/0")
    'redis://me@127.0.0.1:6379/0'
    """
    parts = urlsplit(url)
    user, host = _user_and_host(parts)
    return parts._replace(netloc=f"{user}@{host}" if user else host).geturl()


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(require_redis_url(url))
    user, host = _user_and_host(parts)
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def _user_and_host(parts: SplitResult) -> tuple[str, str]:
    credentials, _, host = parts.netloc.rpartition("@")
    return credentials.partition(":")[0], host


def describe_settings(error: ValidationError) -> str:
    """Returns the errors of settings: the variable, the rule and, unless it is secret, the value."""
    return "; ".join(_describe(dict(one)) for one in error.errors(include_url=False))


def _describe(one: dict[str, Any]) -> str:
    message = one["msg"].removeprefix("Value error, ")
    if not one["loc"]:
        return str(message)
    name = f"RADII_{'__'.join(map(str, one['loc'])).upper()}"
    if one["loc"][0] == _HIDDEN or one["type"] == "value_error":
        return f"{name} {message}"
    return f"{name}: {message}, got {one['input']!r}"
