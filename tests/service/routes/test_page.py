"""The web page as files: how they are served, and that its words keep up with the API."""

import re
from enum import StrEnum
from pathlib import Path

import httpx
import pytest

import service
from contract.choices import AbstainReason, JobStatus, MemoryOutcome, NoiseLevel, Stage, StopReason
from service.app import create_app
from service.settings import ServiceSettings

FOLDER = Path(service.__file__).parent / "page"
MODULES = sorted(FOLDER.glob("*.js"))
TYPES = {
    "main.js": "text/javascript; charset=utf-8",
    "base.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "example-shirt.png": "image/png",
    "commissioner-latin.woff2": "font/woff2",
}


def test_the_page_is_at_the_root(bare_api: httpx.Client) -> None:
    """It needs neither Redis nor a worker, and its policy lets nothing in from elsewhere."""
    response = bare_api.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert '<html lang="en">' in response.text


@pytest.mark.parametrize(("name", "media_type"), list(TYPES.items()))
def test_its_files_have_their_types(bare_api: httpx.Client, name: str, media_type: str) -> None:
    response = bare_api.get(f"/page/{name}")
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.content == (FOLDER / name).read_bytes()


def test_everything_that_it_names_is_there(bare_api: httpx.Client) -> None:
    """Every file that a page, a style or a module refers to."""
    named = set(re.findall(r'(?:href|src)="(page/[^"]+)"', (FOLDER / "index.html").read_text()))
    for style in FOLDER.glob("*.css"):
        named |= {f"page/{name}" for name in re.findall(r'url\("([^"]+)"\)', style.read_text())}
    for module in MODULES:
        named |= {f"page/{name}" for name in re.findall(r'from "\./([^"]+)"', module.read_text())}
    assert len(named) > 20
    for path in named:
        assert bare_api.get(f"/{path}").status_code == 200, path


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_a_browser_asks_again_but_downloads_once(bare_api: httpx.Client, path: str) -> None:
    first = bare_api.get(path)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = bare_api.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert bare_api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_head_says_what_get_would(bare_api: httpx.Client, path: str) -> None:
    head, get = bare_api.head(path), bare_api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "content-security-policy"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "name",
    [
        "absent.js", "index.html", "types.d.ts", "LICENSE-commissioner.txt", "", "..%2fapp.py",
        "%2e%2e%2fapp.py", "..%5capp.py", "%2fetc%2fpasswd", "main.js%00", "main.js/", "MAIN.JS",
    ],
)  # fmt: skip
def test_nothing_else_is_served(bare_api: httpx.Client, name: str) -> None:
    """Names are looked up in a list; none is ever a path."""
    response = bare_api.get(f"/page/{name}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.headers["content-type"] == "application/problem+json"


def test_it_takes_no_other_method(bare_api: httpx.Client) -> None:
    assert bare_api.post("/").status_code == 405


def test_it_is_no_part_of_the_api() -> None:
    assert not [
        path for path in create_app(ServiceSettings()).openapi()["paths"] if path.startswith(("/page", "/{"))
    ]
    assert "/" not in create_app(ServiceSettings()).openapi()["paths"]


def test_nothing_comes_from_elsewhere() -> None:
    """No address of another host, no markup made of strings, no inline script or style."""
    for file in (*MODULES, *FOLDER.glob("*.css"), FOLDER / "index.html"):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.", text), file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text), file
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page)


WORDS: dict[str, type[StrEnum]] = {
    "STAGES": Stage,
    "ABSTENTIONS": AbstainReason,
    "STOPS": StopReason,
    "POLICIES": NoiseLevel,
    "STATUSES": JobStatus,
    "OUTCOMES": MemoryOutcome,
}


@pytest.mark.parametrize(("table", "kind"), list(WORDS.items()))
def test_every_code_of_the_api_has_words(table: str, kind: type[StrEnum]) -> None:
    """A member that is added to an enum needs words here."""
    text = (FOLDER / "words.js").read_text()
    body = re.search(rf"const {table} = {{(.*?)\n}};", text, flags=re.DOTALL)
    assert body is not None
    assert set(re.findall(r"^  (\w+):", body[1], flags=re.MULTILINE)) == {member.value for member in kind}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 200
