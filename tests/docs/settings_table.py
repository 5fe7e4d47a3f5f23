"""Writes the table of settings in docs/operations.md: `python -m tests.docs.settings_table`.

It is made from the settings themselves, so it has every setting and no other.
"""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from service.settings import ServiceSettings
from workers.settings import WorkerSettings

PAGE: Final = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN: Final = "<!-- settings: written by `python -m tests.docs.settings_table` -->"
END: Final = "<!-- end of settings -->"

# For fields without a description: in the code their name says enough.
SAYINGS: Final = {
    "redis_url": "Address of Redis: `redis://`, `rediss://` (TLS) or `unix://`.",
    "device": "Device that models run on; `auto`: a GPU if there is one.",
    "backend": "How models are executed; `auto`: the fastest backend of this machine.",
    "dtype": "Precision; `auto`: the fastest precision that votes like float32.",
}
# Where two processes read the same field for different reasons.
BOTH: Final = {"default_model": "Model of requests that name none; workers load it before the first request."}


def table() -> str:
    """Returns the table: the API's settings in their order, then those of workers alone."""
    lines = ["| setting | read by | default | what it does |", "|---|---|---|---|"]
    service, worker = fields(ServiceSettings), fields(WorkerSettings)
    for name in [*service, *(name for name in worker if name not in service)]:
        readers = [reader for reader, known in (("API", service), ("workers", worker)) if name in known]
        field = service.get(name) or worker[name]
        told = BOTH.get(name) if len(readers) == 2 else None
        saying = told or field.description or SAYINGS[name]
        cells = [
            f"`{field.validation_alias or f'RADII_{name.upper()}'}`",
            ", ".join(readers),
            _default(field),
            saying + _choices(field, saying),
        ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def fields(settings: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Returns every field by its name; one inside a group has the name of the group before its own."""
    found = {}
    for name, field in settings.model_fields.items():
        inside = field.annotation
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            found |= fields(inside, f"{prefix}{name}__")
        else:
            found[prefix + name] = field
    return found


def all_settings() -> tuple[type[BaseSettings], ...]:
    """The classes that the table is about."""
    return (ServiceSettings, WorkerSettings)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value == ():
        return "none"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        value = int(value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _choices(field: FieldInfo, saying: str) -> str:
    words = [word for word in _words(field.annotation) if f"`{word}`" not in saying]
    listed = ", ".join(f"`{word}`" for word in _words(field.annotation))
    return f" One of {listed}." if words else ""


def _words(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (str(one.value) for one in annotation)
    elif get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            if part is not NoneType:
                yield from _words(part)


def written() -> str:
    """Returns what stands between the marks."""
    _, _, rest = PAGE.read_text().partition(BEGIN)
    return rest.partition(END)[0].strip()


def told(name: str) -> int:
    """Returns a number of bytes that the page states and a test measures: `<!-- name -->8 000 bytes`."""
    (number,) = re.findall(rf"<!-- {name} -->([\d ]+) bytes", PAGE.read_text())
    return int(number.replace(" ", ""))


def main() -> None:
    """Writes it."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
