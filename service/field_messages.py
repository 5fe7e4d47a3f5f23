"""Turns pydantic's errors into messages that name the field, the rule and the value."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from contract.problems import FieldProblem, shorten

_VALUE_LENGTH: Final = 80
_PLACES: Final = frozenset({"body", "query", "path", "header"})

_Rule = str | Callable[[Mapping[str, Any]], str]

_RULES: Final[Mapping[str, _Rule]] = {
    "greater_than": lambda ctx: f"must be > {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"must be >= {_number(ctx['ge'])}",
    "less_than": lambda ctx: f"must be < {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"must be <= {_number(ctx['le'])}",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be a smaller integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_pattern_mismatch": lambda ctx: _pattern_in_words(ctx["pattern"]),
    "too_short": lambda ctx: f"must have at least {ctx['min_length']} items",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} items",
    "base64_decode": "must be base64",
    "bytes_type": "must be base64",
}
_COMPARISONS: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}
)
# The contract raises these itself, with complete messages.
_WORDED: Final = frozenset({"too_few_samples", "pointless", "seed_with_memory"})


def field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """Turns one of pydantic's errors into a field problem."""
    path = [str(part) for part in error["loc"] if part not in _PLACES] or _named_path(error)
    pointer = "".join("/" + part[:_VALUE_LENGTH].replace("~", "~0").replace("/", "~1") for part in path)
    return FieldProblem(pointer=pointer, message=_message(path, error))


def _named_path(error: Mapping[str, Any]) -> list[str]:
    """A rule about several fields has no location in pydantic; the contract names the field."""
    field = error.get("ctx", {}).get("field") if error["type"] in _WORDED else None
    return [] if field is None else [str(field)]


def _message(path: list[str], error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind in _WORDED:
        return str(error["msg"])
    if not path:
        return "the body must be a JSON object"
    field = "/".join(path)
    if kind == "missing":
        return f"'{field}' is required"
    if kind == "extra_forbidden":
        return f"{shorten(field)} is not a field of this request"
    if field == "image":
        return _image_message(kind)
    rule = _RULES.get(kind)
    words = rule(error.get("ctx", {})) if callable(rule) else rule or _reworded(str(error["msg"]))
    value = error.get("input")
    # A form sends numbers as text: show them without quotes.
    shown = value[:_VALUE_LENGTH] if kind in _COMPARISONS and isinstance(value, str) else shorten(value)
    return f"'{field}' {words}, got {shown}"


def _reworded(message: str) -> str:
    """Drops the kind of value that a message of pydantic begins with: "Input should be a finite number"."""
    rule = message.partition(" should ")[2]
    return f"must {rule}" if rule else f"is wrong: {message}"


def _image_message(kind: str) -> str:
    """Never shows the value: it is the client's picture, and may be megabytes."""
    return (
        "'image' must be sent as a file"
        if kind == "value_error"
        else f"'image' {_RULES.get(kind, 'is wrong')}"
    )


def _pattern_in_words(pattern: str) -> str:
    """Words the contract's patterns, which are all of the form `^[A-Za-z0-9_-]{1,64}$`."""
    characters, _, length = pattern.removeprefix("^[").removesuffix("}$").partition("]{")
    kind = "lower-case hex digits" if characters == "0-9a-f" else f"characters of {characters}"
    return f"must be {length.replace(',', ' to ')} {kind}"


def _number(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)
