"""What a new OpenAPI document takes from those who use an old one, in words; nothing if all of their code still works.

A change is breaking when a request that was right is refused or does something else, when an answer may lack or
hold what clients do not expect, or when generated code gets other names. More values in an answer's enum are not:
the document says that they may come.
"""

from collections.abc import Iterator
from typing import Any, Final

Document = dict[str, Any]

_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_AT_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_SAME_IN_REQUESTS: Final = ("pattern", "default", "additionalProperties")


def breaking_changes(old: Document, new: Document) -> list[str]:
    """Compares two documents (OpenAPI 3.1)."""
    return list(dict.fromkeys(_Comparison(old, new).paths()))


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new
        self._compared: set[tuple[str, bool]] = set()

    def paths(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method, old in operations.items():
                place = f"{method.upper()} {path}"
                new = self._new["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{place} is gone"
                else:
                    yield from self._operation(place, old, new)

    def _operation(self, place: str, old: Document, new: Document) -> Iterator[str]:
        for name in ("operationId", "tags"):
            if old[name] != new[name]:
                yield f"{place}: {name} was {old[name]}, is {new[name]}"
        if new.get("security") and not old.get("security"):
            yield f"{place}: it needs a key now"
        yield from self._parameters(place, old.get("parameters", []), new.get("parameters", []))
        yield from self._body(place, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            if status not in new["responses"]:
                yield f"{place}: {status} is answered no more"
            else:
                yield from self._answer(f"{place} {status}", answer, new["responses"][status])

    def _parameters(self, place: str, old: list[Document], new: list[Document]) -> Iterator[str]:
        before = {(one["in"], one["name"].lower()): one for one in old}
        after = {(one["in"], one["name"].lower()): one for one in new}
        for key in before.keys() - after.keys():
            yield f"{place}: parameter {key[1]} is gone"
        for key, one in after.items():
            if one.get("required") and not before.get(key, {}).get("required"):
                yield f"{place}: parameter {key[1]} is required now"
            if key in before:
                yield from self._schema(f"{place} {key[1]}", before[key]["schema"], one["schema"], asked=True)

    def _body(self, place: str, old: Document | None, new: Document | None) -> Iterator[str]:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield f"{place}: a body is required now"
        if old is not None:
            yield from self._content(
                f"{place} body", old["content"], (new or {}).get("content", {}), asked=True
            )

    def _answer(self, place: str, old: Document, new: Document) -> Iterator[str]:
        for name, header in old.get("headers", {}).items():
            if name not in new.get("headers", {}):
                yield f"{place}: header {name} is gone"
            else:
                now = self._resolve(new["headers"][name], self._new)
                before = self._resolve(header, self._old)
                if before.get("required") and not now.get("required"):
                    yield f"{place}: header {name} is no longer always there"
                yield from self._schema(f"{place} {name}", before["schema"], now["schema"], asked=False)
        yield from self._content(place, old.get("content", {}), new.get("content", {}), asked=False)

    def _content(self, place: str, old: Document, new: Document, *, asked: bool) -> Iterator[str]:
        for media, body in old.items():
            if media not in new:
                yield f"{place}: {media} is gone"
            else:
                yield from self._schema(place, body["schema"], new[media]["schema"], asked=asked)

    def _schema(self, place: str, old: Document, new: Document, *, asked: bool) -> Iterator[str]:
        old, new = _nullable(old), _nullable(new)
        names = [one["$ref"].rpartition("/")[2] if "$ref" in one else None for one in (old, new)]
        if names[0] != names[1]:
            yield f"{place}: the type was {names[0]}, is {names[1]}"
        if names[0] is not None:
            place = names[0]
            if (place, asked) in self._compared:
                return
            self._compared.add((place, asked))
        yield from _null(place, old, new, asked=asked)
        old, new = self._resolve(old, self._old), self._resolve(new, self._new)
        yield from _kind(place, old, new, asked=asked)
        yield from self._members(place, old, new, asked=asked)
        for word in ("items",):
            if word in old and word in new:
                yield from self._schema(f"{place} {word}", old[word], new[word], asked=asked)
        if asked:
            yield from _limits(place, old, new)

    def _members(self, place: str, old: Document, new: Document, *, asked: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before.keys() - after.keys():
            yield f"{place}/{name} is gone"
        required = set(old.get("required", [])), set(new.get("required", []))
        for name in required[1] - required[0] if asked else required[0] - required[1]:
            if asked or name in after:
                yield f"{place}/{name} is {'required now' if asked else 'no longer always there'}"
        for name in before.keys() & after.keys():
            yield from self._schema(f"{place}/{name}", before[name], after[name], asked=asked)

    @staticmethod
    def _resolve(schema: Document, document: Document) -> Document:
        if "$ref" not in schema:
            return schema
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _nullable(schema: Document) -> Document:
    """Says "or null" by a member of its own, so that what may be null compares with what may not."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**kinds[0], **rest, "nullable": True}


def _null(place: str, old: Document, new: Document, *, asked: bool) -> Iterator[str]:
    was, is_now = old.get("nullable", False), new.get("nullable", False)
    if asked and was and not is_now:
        yield f"{place} may be null no more"
    if not asked and is_now and not was:
        yield f"{place} may be null now"


def _kind(place: str, old: Document, new: Document, *, asked: bool) -> Iterator[str]:
    for word in ("type", "format"):
        if old.get(word) != new.get(word):
            yield f"{place}: {word} was {old.get(word)}, is {new.get(word)}"
    if asked and "enum" in new:
        lost = [value for value in old.get("enum", ["anything"]) if value not in new["enum"]]
        yield from (f"{place} may be {value!r} no more" for value in lost)
    if not asked and "enum" in old and "enum" not in new:
        yield f"{place} may be anything now"


def _limits(place: str, old: Document, new: Document) -> Iterator[str]:
    for word in _AT_LEAST:
        if word in new and new[word] > old.get(word, float("-inf")):
            yield f"{place}: {word} was {old.get(word)}, is {new[word]}"
    for word in _AT_MOST:
        if word in new and new[word] < old.get(word, float("inf")):
            yield f"{place}: {word} was {old.get(word)}, is {new[word]}"
    for word in _SAME_IN_REQUESTS:
        if old.get(word) != new.get(word) and not (word == "pattern" and word not in new):
            yield f"{place}: {word} was {old.get(word)}, is {new.get(word)}"
