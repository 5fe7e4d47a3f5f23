"""Makes the secrets of a deployment, once: the password of Redis and the operator's API key.

Run by the service `setup` of docker-compose.yml, at each start: what is there already is left alone.

    make_secrets.py create    makes what is missing and names it; no secret is ever printed
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
KEY = "operator/key"  # for nobody but the operator
KEYS = "api/keys.json"  # for the API: hashes alone


def create(folder: Path) -> None:
    """Makes each secret that is not there."""
    _make(folder / REDIS, lambda: secrets.token_urlsafe(32))
    _make(folder / KEY, lambda: f"radii_{secrets.token_urlsafe(32)}")
    _make(folder / KEYS, lambda: _hashed((folder / KEY).read_text()))


def _make(file: Path, content: Callable[[], str]) -> None:
    if file.exists():
        return
    # Written beside it first: a crash leaves no half of a secret.
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
    """Does what the first argument says, in the folder that the second names."""
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
