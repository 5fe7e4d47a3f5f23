"""Commands whose modules load torch are listed without it, and show all their options when asked."""

import pytest
from typer.testing import CliRunner

from radii.main import app
from tests.support.command_line import run_without


@pytest.mark.parametrize("name", ["train", "recipes", "evaluate"])
def test_it_is_listed_where_torch_is_missing(name: str) -> None:
    done = run_without(("torch", "numpy"), "--help")
    assert done.returncode == 0, done.stderr
    assert f" {name} " in done.stdout


@pytest.mark.parametrize(("name", "option"), [("train", "--learning-rate"), ("evaluate", "--noise-sigmas")])
def test_its_help_has_the_options_of_its_module(name: str, option: str) -> None:
    """And no option of a program of its own, such as completion."""
    ran = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert ran.exit_code == 0, ran.output
    assert option in ran.output
    assert "--install-completion" not in ran.output
