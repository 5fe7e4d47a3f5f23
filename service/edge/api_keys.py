"""API keys: their hashes are in a file, which is read again when it changes."""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, model_validator

from contract.requests import Tenant
from service.edge.callers import Caller, KeyScope
from service.settings import Misconfiguration

_LOOK_SECONDS: Final = 1.0
_SHOWN: Final = frozenset({"name", "scopes", "tenant"})
_log = structlog.get_logger(__name__)

_Signature = tuple[int, int, int]


class ApiKey(BaseModel):
    """An entry of the file: a key's hash and rights, never the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[frozenset[KeyScope], Field(min_length=1)]
    tenant: Tenant = ""

    @field_serializer("scopes")
    def _in_order(self, scopes: frozenset[KeyScope]) -> list[str]:
        return [scope.value for scope in KeyScope if scope in scopes]

    @property
    def caller(self) -> Caller:
        """The caller with this key."""
        return Caller(self.name, self.tenant, self.scopes)


class KeyFile(BaseModel):
    """The file: ``{"keys": [{"name", "sha256", "scopes", "tenant"}]}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: list[ApiKey]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for field in ("name", "sha256"):
            values = [getattr(key, field) for key in self.keys]
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"'{field}' must differ between keys, got '{twice}' twice")
        return self


def new_key() -> str:
    """Returns a new key: 256 random bits."""
    return f"radii_{secrets.token_urlsafe(32)}"


def hash_key(key: str) -> str:
    """Returns the hash of a key. Keys are random, so a plain SHA-256 cannot be reversed by guessing."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse_keys(text: str, file: Path) -> KeyFile:
    """Parses the text of a file of keys.

    Raises:
        Misconfiguration: Names file, field, rule and value.
    """
    try:
        return KeyFile.model_validate_json(text)
    except ValidationError as error:
        reasons = "; ".join(_describe(one["loc"], one["msg"], one["input"]) for one in error.errors())
        raise Misconfiguration(f"'api_keys_file' = '{file}': {reasons}") from None


def _describe(place: Sequence[int | str], rule: str, value: object) -> str:
    field = ".".join(map(str, place))
    rule = rule.removeprefix("Value error, ")
    # Somebody may have written the key itself in place of its hash: show no value that could be one.
    shown = isinstance(value, str) and not _SHOWN.isdisjoint(place)
    return (f"'{field}': " if field else "") + rule + (f", got {value!r}" if shown else "")


class KeyRing:
    """The keys of a file, read again when it changes: a removed key is refused within a second.

    A file that cannot be read is logged, and the keys from before stay: a typing mistake must neither lock
    callers out nor let anyone in.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_at = time.monotonic()
        self._seen: _Signature | None
        self._seen, self._keys = self._read()

    def find(self, key: str) -> Caller | None:
        """Returns the caller with this key, or None. Every key is compared in constant time, found or not."""
        self._look()
        digest = hash_key(key)
        found: Caller | None = None
        for known in self._keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known.caller
        return found

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            signature = _signature(self._file.stat())
        except OSError:
            signature = None
        if signature == self._seen:
            return
        try:
            self._seen, self._keys = self._read()
            _log.info("api_keys_read", keys=len(self._keys))
        except Misconfiguration as error:
            self._seen = signature
            _log.error("api_keys_not_read", reason=str(error), kept=len(self._keys))

    def _read(self) -> tuple[_Signature, list[ApiKey]]:
        try:
            with self._file.open(encoding="utf-8") as file:
                signature = _signature(os.fstat(file.fileno()))
                keys = parse_keys(file.read(), self._file).keys
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise Misconfiguration(
                f"'api_keys_file' must be a readable file, got '{self._file}': {why}"
            ) from None
        if not keys:
            _log.warning("no_api_keys", file=str(self._file))
        return signature, keys


def _signature(stat: os.stat_result) -> _Signature:
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
