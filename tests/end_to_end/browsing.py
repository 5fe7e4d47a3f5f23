"""A real browser for the tests of the page, and what it must never do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Starts Chromium: the system's, or the one that `playwright install chromium` has fetched."""
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, _NAMES)), None)
        own = playwright.chromium.executable_path
        if found is None and not Path(own).exists():
            pytest.skip("no Chromium: install the package `chromium`, or run `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=found or own, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page in a browser session of its own, and everything that went wrong in it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def open(self, address: str = "") -> Page:
        """Opens the page and waits until it knows the models."""
        self.page.goto(f"{self.url}/{address}")
        self.page.wait_for_selector("#model-facts dl")
        return self.page

    def run(self, expression: str) -> Any:
        """Runs an expression as the browser's console does: Playwright's own way needs `eval`, which the page forbids."""
        session = self.page.context.new_cdp_session(self.page)
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        session.detach()
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def violations(self) -> list[str]:
        """What axe finds wrong with the page as it is now."""
        self.run((resources.files("axe_playwright_python") / "axe.min.js").read_text() + "; 0")
        found = self.run("axe.run()")
        return [
            f"{one['id']}: {node['html']}: {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def overflows(self) -> bool:
        """Whether one would have to scroll sideways."""
        return bool(self.run("document.documentElement.scrollWidth > innerWidth"))


@contextmanager
def open_tab(browser: Browser, url: str, **options: Any) -> Iterator[Tab]:
    """A tab that must end without a complaint, and must have asked no other host."""
    context: BrowserContext = browser.new_context(**options)
    tab = Tab(context.new_page(), url)
    tab.page.set_default_timeout(60_000)
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.on("console", lambda message: _note(tab, message.type, message.text))
    tab.page.on("request", lambda request: tab.requests.append(request))
    yield tab
    context.close()
    elsewhere = [one.url for one in tab.requests if not one.url.startswith((f"{url}/", "blob:", "data:"))]
    assert elsewhere == []
    assert tab.complaints == []


def _note(tab: Tab, kind: str, text: str) -> None:
    # A refusal of the API is shown to the user; that the browser logs it, too, is no fault.
    if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
        tab.complaints.append(f"{kind}: {text}")
