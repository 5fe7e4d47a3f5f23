"""API keys for tests."""

import json
from pathlib import Path

from service.api_keys import hash_key, new_key


def make_keys(file: Path, *names: str) -> list[str]:
    """Writes a file of keys that may certify and read, and returns the keys."""
    keys = {name: new_key() for name in names}
    known = [
        {"name": name, "sha256": hash_key(key), "scopes": ["certify", "read"]} for name, key in keys.items()
    ]
    file.write_text(json.dumps({"keys": known}))
    return list(keys.values())
