"""docs/library.md stays true: its code runs as it stands, from top to bottom."""

import re

from tests.support.command_line import ROOT

PAGE = (ROOT / "docs" / "library.md").read_text()


def test_the_code_of_the_page_runs() -> None:
    """In one process, each block after those before it, as a reader would."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) >= 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), names)
    assert names["result"].segments  # type: ignore[attr-defined]
