"""docs/results.md says what was measured and nothing else, and its commands are understood."""

import re
import shlex
from typing import Any

import pytest
import typer
from click import Command

from evaluation.papers.__main__ import FOLDER, PAGE
from evaluation.papers.evaluations import EVALUATIONS
from evaluation.papers.outcomes import read_outcomes
from evaluation.papers.sections import SECTIONS, render
from radii.main import app


def test_the_page_is_what_the_outcomes_render() -> None:
    """`make results ONLY=page` writes it anew."""
    page = PAGE.read_text()
    assert render(page, read_outcomes(FOLDER)) == page
    assert sorted(re.findall(r"<!-- results: (.+) -->", page)) == sorted(SECTIONS)


def test_what_is_not_measured_is_in_the_list_of_evaluations_alone() -> None:
    """A page without outcomes still has the papers' rows, and every evaluation as not measured yet."""
    page = render(PAGE.read_text(), {})
    listed = [line for line in page.splitlines() if line.endswith("| not measured yet |")]
    assert len(listed) == len(EVALUATIONS)
    assert "| SmoothAdv, ε = 2 | CIFAR-10 |" in page
    assert "| Fashion-MNIST |" not in page


def commands() -> list[str]:
    """Every command in the page that could be typed as it stands."""
    found = re.findall(r"`(radii [^`]+)`", PAGE.read_text())
    return sorted({command for command in found if "…" not in command})


def test_every_evaluation_s_command_is_in_the_page() -> None:
    told = [command for command in commands() if command.startswith("radii evaluate ")]
    assert told == sorted(f"{each.command} --out FOLDER" for each in EVALUATIONS)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command: str) -> None:
    """By the command line itself: every option is there, and takes this value."""
    _, name, *arguments = shlex.split(command)
    group: Any = typer.main.get_command(app)
    subcommand: Command = group.commands[name]
    context = subcommand.make_context(name, arguments)
    assert not context.args


def test_a_wrong_command_is_not_understood() -> None:
    """The check above can fail."""
    group: Any = typer.main.get_command(app)
    with pytest.raises(Exception, match="--nonsense"):
        group.commands["evaluate"].make_context("evaluate", ["one", "--out", "f", "--nonsense", "1"])
