"""What pages tell a reader to type is run somewhere, or says why not; links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks, commands_of

# Who runs what, and where the test that does is.
RUNNERS = {
    "stack": "tests/end_to_end/test_operations_page.py",
    "compose": "tests/end_to_end/test_compose.py",
    "training": "tests/docs/test_training_page.py",
}
# Pages that one test runs from top to bottom, commands and programs.
WHOLE = {
    "library.md": "tests/end_to_end/test_library_page.py",
    "clients.md": "tests/clients/test_clients.py",
}
TYPED = {"console", "sh", "bash", "shell"}


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"{block.page}:{block.text[:40]!r}")
def test_what_a_reader_would_type_is_run_or_says_why_not(block: Block) -> None:
    """Python is run by the page's own test; a fence without a language is a drawing."""
    assert not block.comment or block.run or block.not_run, f"not understood: {block.comment}"
    if block.language in TYPED and block.page not in WHOLE:
        assert block.run in RUNNERS or len(block.not_run or "") > 10
    elif block.language == "python":
        assert block.page in WHOLE


def test_runners_run_what_the_pages_give_them() -> None:
    """Each is there, has something to run, and asks for it."""
    assert all((ROOT / file).is_file() for file in WHOLE.values())
    for where, file in RUNNERS.items():
        assert commands_of(where)
        assert f'commands_of("{where}")' in (ROOT / file).read_text()


WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
# Folders of the repository, in which a path in a code span is a file or a folder, unless it has a `<name>`.
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_paths_in_code_spans_exist(page: Path) -> None:
    """A page names files of the repository as they are called now."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for path in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", text):
        made = path.startswith("bundles/")  # by commands of the pages
        assert made or (ROOT / path).exists(), path


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """To a file, and to a heading of it where one is named."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target
