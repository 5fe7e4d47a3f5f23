"""API keys for tests."""

import json
from collections.abc import Sequence
from pathlib import Path

from service.edge.api_keys import hash_key, new_key


def make_keys(file: Path, *names: str, scopes: Sequence[str] = ("certify", "read")) -> list[str]:
    """Writes a file of keys of these scopes, and returns the keys."""
    keys = {name: new_key() for name in names}
    known = [{"name": name, "sha256": hash_key(key), "scopes": list(scopes)} for name, key in keys.items()]
    file.write_text(json.dumps({"keys": known}))
    return list(keys.values())
