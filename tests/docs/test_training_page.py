"""docs/training.md stays true: its commands run, from top to bottom, on few small images."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluation.plan import SuiteName
from models.architectures import ARCHITECTURES
from models.data import DATASETS
from models.training.recipes import RECIPES
from radii.main import app
from tests.docs.pages import ROOT, commands_of
from tests.models.support import write_synthetic_fashion

PAGE = (ROOT / "docs" / "training.md").read_text()
FEWER = {
    "train": "--epochs 1 --batch-size 20 --held-out 8 --width 2",
    "evaluate": "--images 2 --skip 1",
}
"""Said after what the page says; the last word counts."""
SUITE_OPTIONS = {
    "certify": "--n 200",
    "noise": "--noise-sigmas 0.5",
    "attacks": "--attack-steps 1 --epsilons-l2 0.5 --epsilons-linf 0.1",
    "auto": "--sigma-grid 0.5",
}


def on_few_images(command: str, data: Path) -> list[str]:
    """What is tried of a command; all that it says is still understood."""
    program, *words = shlex.split(command)
    assert program == "radii"
    if words[0] not in FEWER:
        return words
    words += [*shlex.split(FEWER[words[0]]), "--data", str(data)]
    if words[0] == "evaluate":
        asked = words if "--suite" in words else ["certify", *words]
        for word, options in SUITE_OPTIONS.items():
            words += shlex.split(options) if word in asked else []
    return words


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, each after those before it, as a reader would; every folder that they name is there."""
    (tmp_path / "data").mkdir()
    data = write_synthetic_fashion(tmp_path / "data", size=28)
    monkeypatch.chdir(tmp_path)
    commands = commands_of("training")
    for command in commands:
        ran = CliRunner().invoke(app, on_few_images(command, data))
        assert ran.exit_code == 0, (command, ran.output)
    outputs = re.findall(r"--(?:last-)?out (\S+)", " ".join(commands))
    assert len(outputs) > len(commands) / 2
    for output in outputs:
        folder = tmp_path / output
        made = "report.html" if output.startswith("reports") else "card.json"
        assert (folder / made).is_file(), output


@pytest.mark.parametrize("names", [DATASETS, SuiteName], ids=["data sets", "suites"])
def test_the_tables_of_the_page_are_whole(names: list[str]) -> None:
    for name in names:
        assert f"| `{name}` " in PAGE


def test_what_the_page_names_is_there() -> None:
    """Recipes, networks and options; those that it leaves out are told by `radii recipes` and `--help`."""
    named = set(re.findall(r"radii train (\w+)", PAGE))
    assert named <= set(RECIPES)
    assert set(re.findall(r"--architecture (\w+)", PAGE)) <= set(ARCHITECTURES)
    for command in ("train", "evaluate"):
        help_text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        lines = [
            line for line in PAGE.splitlines() if f"radii {command} " in line or f"radii {command} {{" in line
        ]
        options = set(re.findall(r"--[a-z][a-z0-9-]+", " ".join(lines))) - {"--nproc-per-node"}
        assert options
        for option in options:
            assert option in help_text, option
