"""`/`: the web page, a client of the API like any other. Everything it loads comes from this server."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from contract.choices import ProblemCode
from contract.problems import refusal

_INDEX: Final = "index.html"
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",  # revalidated each time: all files must be of one release
    "Content-Security-Policy": _POLICY,
}
_METHODS: Final = ["GET", "HEAD"]
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str
    tag: str


@cache
def _files() -> Mapping[str, _File]:
    """All served files by name, read once: no request reaches the file system."""
    folder = resources.files("service") / "page"
    return {
        entry.name: _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()}"')
        for entry in folder.iterdir()
        if (media_type := _TYPES.get("." + entry.name.rpartition(".")[2]))
        for content in [entry.read_bytes()]
    }


_IfNoneMatch = Annotated[str | None, Header(include_in_schema=False)]


@router.api_route("/", methods=_METHODS)
async def get_page(if_none_match: _IfNoneMatch = None) -> Response:
    """Get the page."""
    return _answer(_files()[_INDEX], if_none_match)


@router.api_route("/page/{name}", methods=_METHODS)
async def get_page_file(name: str, if_none_match: _IfNoneMatch = None) -> Response:
    """Get a style, a module or a picture of the page."""
    file = _files().get(name)
    if file is None or name == _INDEX:
        raise refusal(ProblemCode.NOT_FOUND, "no such file")
    return _answer(file, if_none_match)


def _answer(file: _File, if_none_match: str | None) -> Response:
    headers = {**_HEADERS, "ETag": file.tag}
    if if_none_match is not None and (if_none_match.strip() == "*" or file.tag in if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
