"""Creates the secrets of a deployment: the password of Redis and the operator's API key.

The service `setup` of docker-compose.yml runs this at each start. Existing secrets stay as they are.

    make_secrets.py create    creates missing secrets and names their files; never prints a secret
    make_secrets.py key       prints the operator's API key
"""

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

REDIS = "redis/password"  # for Redis, API and workers
KEY = "operator/key"  # only for the operator
KEYS = "api/keys.json"  # for the API: only hashes


def create(folder: Path) -> None:
    """Creates each missing secret."""
    _make(folder / REDIS, lambda: secrets.token_urlsafe(32))
    _make(folder / KEY, lambda: f"radii_{secrets.token_urlsafe(32)}")
    _make(folder / KEYS, lambda: _hashed((folder / KEY).read_text()))


def _make(file: Path, content: Callable[[], str]) -> None:
    if file.exists():
        return
    # Written to another name first, so that a crash leaves no partial secret.
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(content())
        handle.flush()
        os.fsync(handle.fileno())
    part.rename(file)
    sys.stderr.write(f"made {file}\n")


def _hashed(key: str) -> str:
    operator = {
        "name": "operator",
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "scopes": ["certify", "read", "admin"],
        "tenant": "",
    }
    return json.dumps({"keys": [operator]}, indent=2) + "\n"


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
