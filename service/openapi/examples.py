"""Examples in the document: responses of a real service, as `make examples` recorded it.

One file per operation, ``examples/<operationId>.json``::

    {"request": <body, if any>, "responses": {"<status>": <body>}}
"""

import json
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = Path(__file__).parent / "recorded"


def add_examples(document: dict[str, Any]) -> None:
    """Adds the recorded bodies to the document, beside their schemas."""
    for path in document["paths"].values():
        for operation in path.values():
            recorded = read_examples(operation["operationId"])
            if "request" in recorded:
                _add(operation["requestBody"]["content"], recorded["request"])
            for status, body in recorded.get("responses", {}).items():
                if status in operation["responses"]:
                    _add(operation["responses"][status].get("content", {}), body)


def read_examples(operation_id: str) -> dict[str, Any]:
    """Returns the recorded bodies of an operation; empty if nothing is recorded."""
    file = EXAMPLES / f"{operation_id}.json"
    if not file.is_file():
        return {}
    recorded: dict[str, Any] = json.loads(file.read_text())
    return recorded


def _add(content: dict[str, Any], body: Any) -> None:
    for name, media in content.items():
        content[name] = {**media, "example": body}
