"""The pages under docs/, and the blocks in them that a reader would copy."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted((ROOT / "docs").glob("*.md"))
_BLOCK: Final = re.compile(
    r"^(?:<!--(?P<comment>[^\n]*)-->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block, and the comment on the line above it.

    ``<!-- run: WHERE -->`` names who runs it; ``<!-- not run: REASON -->`` says why nobody can.
    """

    page: str
    language: str
    comment: str
    text: str

    @property
    def run(self) -> str | None:
        """Where it is run."""
        return self.comment.removeprefix("run:").strip() if self.comment.startswith("run:") else None

    @property
    def not_run(self) -> str | None:
        """Why it is not."""
        return self.comment.removeprefix("not run:").strip() if self.comment.startswith("not run:") else None

    @property
    def commands(self) -> list[str]:
        """Its lines; those that end in a backslash go on."""
        return self.text.replace("\\\n", "").splitlines()


def blocks() -> list[Block]:
    """All of them, page after page."""
    return [
        Block(page.name, found["language"], (found["comment"] or "").strip(), found["text"])
        for page in PAGES
        for found in _BLOCK.finditer(page.read_text())
    ]


def commands_of(where: str) -> list[str]:
    """What is to be run in one place, in the order in which a reader meets it."""
    return [command for block in blocks() if block.run == where for command in block.commands]
