"""The key that `radii serve` makes for its owner, and how a client finds a key."""

import os
import re
from pathlib import Path
from typing import Final

from radii import key_store
from radii.errors import InvalidRequest
from service.edge.api_keys import ApiKey, hash_key, new_key
from service.edge.callers import KeyScope
from service.edge.loopback import host_of, is_loopback

NAME: Final = "local"
_SENDABLE: Final = re.compile(r"[!-~]{1,200}")


class UnusableKey(InvalidRequest):
    """A key cannot be read or sent. The message does not show it."""


def default_data_dir() -> Path:
    """Returns the folder of the embedded store: ``RADII_DATA_DIR``, or the user's own."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("RADII_DATA_DIR") or Path(base) / "radii")


def plain_file(data_dir: Path) -> Path:
    """Returns the file with the owner's key."""
    return data_dir / "api-key"


def hashed_file(data_dir: Path) -> Path:
    """Returns the API's default file of keys."""
    return data_dir / "api-keys.json"


def make_own_key(data_dir: Path) -> None:
    """Makes a key for the owner of the data directory, with all permissions, unless there is one.

    A revoked key stays revoked.
    """
    plain, hashed = plain_file(data_dir), hashed_file(data_dir)
    if plain.exists() and hashed.exists():
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    key = _read(plain) if plain.exists() else new_key()
    if any(known.name == NAME for known in key_store.read(hashed)):
        key_store.remove(hashed, NAME)  # its plain text was lost
    key_store.add(hashed, ApiKey(name=NAME, sha256=hash_key(key), scopes=frozenset({KeyScope.ADMIN})))
    key_store.write_private(plain, key + "\n")


def choose_key(url: str, given: str | None = None) -> str | None:
    """Returns the key to send to a server, or None.

    In this order: the one given, ``RADII_API_KEY``, the file that ``RADII_API_KEY_FILE`` names, and, for a
    server on this machine, the key that `radii serve` made here.

    Raises:
        UnusableKey: The key cannot be read or sent.
    """
    given = given or os.environ.get("RADII_API_KEY")
    if given:
        return _require_sendable(given.strip(), "'api-key'")
    if file := os.environ.get("RADII_API_KEY_FILE"):
        return _read(Path(file))
    own = plain_file(default_data_dir())
    if is_loopback(host_of(url)) and os.access(own, os.R_OK):
        return _read(own)
    return None


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UnusableKey(f"the file of an API key must be readable, got '{file}': {why}") from None
    return _require_sendable(text.strip(), f"what '{file}' holds")


def _require_sendable(key: str, what: str) -> str:
    if not _SENDABLE.fullmatch(key):
        raise UnusableKey(
            f"{what} must be an API key, of visible ASCII characters, got {len(key)} characters (not shown)"
        )
    return key
