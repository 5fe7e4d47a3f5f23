"""Examples in the document: what a real service answered, as `make examples` recorded it.

One file per operation, ``examples/<operationId>.json``::

    {"request": <the body that was sent, if any>, "responses": {"<status>": <the body of the answer>}}
"""

import json
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = Path(__file__).parent / "recorded"


def add_examples(document: dict[str, Any]) -> None:
    """Puts the recorded bodies beside the schemas that they are examples of; the document is changed."""
    for path in document["paths"].values():
        for operation in path.values():
            recorded = read_examples(operation["operationId"])
            if "request" in recorded:
                _add(operation["requestBody"]["content"], recorded["request"])
            for status, body in recorded.get("responses", {}).items():
                if status in operation["responses"]:
                    _add(operation["responses"][status].get("content", {}), body)


def read_examples(operation_id: str) -> dict[str, Any]:
    """Returns what was recorded of an operation; nothing if it was added since."""
    file = EXAMPLES / f"{operation_id}.json"
    if not file.is_file():
        return {}
    recorded: dict[str, Any] = json.loads(file.read_text())
    return recorded


def _add(content: dict[str, Any], body: Any) -> None:
    for name, media in content.items():
        content[name] = {**media, "example": body}
