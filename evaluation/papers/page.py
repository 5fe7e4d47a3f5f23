"""docs/results.md: prose that people write, and between its marks the tables that are rendered."""

import re
from typing import Final

from evaluation.papers.measures import Outcomes
from evaluation.papers.sections import SECTIONS

_MARK: Final = re.compile(r"(<!-- results: ([\w-]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def render(page: str, outcomes: Outcomes) -> str:
    """Return the page with what stands between its marks written anew."""

    def written(found: re.Match[str]) -> str:
        return f"{found[1]}{SECTIONS[found[2]](outcomes)}\n{found[3]}"

    return _MARK.sub(written, page)


def marks(page: str) -> list[str]:
    """Return the names of the marks in a page."""
    return [found[2] for found in _MARK.finditer(page)]
