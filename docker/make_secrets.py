"""Creates the secrets of a deployment: the password of Redis and the operator's API key.

The service `setup` of docker-compose.yml runs this at each start. Existing secrets stay as they are.

    make_secrets.py create    creates missing secrets and names their files; never prints a secret
    make_secrets.py key       prints the operator's API key
"""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from radii import key_store
from service.edge.api_keys import ApiKey, hash_key, new_key
from service.edge.callers import KeyScope

REDIS = "redis/password"  # for Redis, API and workers
KEY = "operator/key"  # only for the operator
KEYS = "api/keys.json"  # for the API: only hashes


def create(folder: Path) -> None:
    """Creates each missing secret."""
    _make(folder / REDIS, lambda file: key_store.write_private(file, secrets.token_urlsafe(32)))
    _make(folder / KEY, lambda file: key_store.write_private(file, new_key()))
    hashed = hash_key((folder / KEY).read_text())
    _make(folder / KEYS, lambda file: key_store.add(file, _operator(hashed)))


def _make(file: Path, make: Callable[[Path], None]) -> None:
    if not file.exists():
        make(file)
        sys.stderr.write(f"made {file}\n")


def _operator(hashed: str) -> ApiKey:
    return ApiKey(name="operator", sha256=hashed, scopes=frozenset(KeyScope))


def main(arguments: list[str]) -> int:
    """Runs the command in the first argument, in the folder in the second (default /secrets)."""
    command, folder = arguments[0], Path(arguments[1] if arguments[1:] else "/secrets")
    if command == "create":
        create(folder)
    elif command == "key":
        sys.stdout.write((folder / KEY).read_text() + "\n")
    else:
        sys.stderr.write(f"the command must be create or key, got {command!r}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or ["create"]))
