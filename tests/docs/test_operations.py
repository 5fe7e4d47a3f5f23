"""docs/operations.md says what is so: settings, compose's variables, paths, times."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from contract import limits
from tests.docs import settings_table
from tests.docs.pages import ROOT

PAGE = settings_table.PAGE.read_text()


def test_the_table_of_settings_is_that_of_the_code() -> None:
    """`python -m tests.docs.settings_table` writes it anew."""
    assert settings_table.written() == settings_table.table()


@pytest.mark.parametrize("settings", settings_table.all_settings(), ids=lambda settings: settings.__name__)
def test_every_setting_has_a_row_and_every_row_a_setting(settings: type) -> None:
    """By name, so that the table's own writer cannot leave one out."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", settings_table.written(), flags=re.MULTILINE)
    reader = "API" if settings.__name__ == "ServiceSettings" else "workers"
    fields = {
        field.validation_alias or f"RADII_{name.upper()}"
        for name, field in settings_table.fields(settings).items()
    }
    assert {name for name, readers in rows if reader in readers} == fields


def test_variables_of_the_compose_file_are_told() -> None:
    """All of them, with their defaults, and no other."""
    text = (ROOT / "docker-compose.yml").read_text()
    used = dict(re.findall(r"\$\{(RADII_\w+):-([^}]*)\}", text))
    told = dict(re.findall(r"^\| `(RADII_\w+)` \| `([^`]*)` \|", PAGE, flags=re.MULTILINE))
    assert told == used


def test_every_service_of_the_compose_file_is_named() -> None:
    """A reader finds what each container is for."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in services:
        assert f"`{service}`" in PAGE, service


def test_times_are_those_of_the_code() -> None:
    """Each is told as `NAME` (number)."""
    named = re.findall(r"`([A-Z][A-Z_]+)` \(([\d ]+)", PAGE)
    assert len(named) >= 3
    for name, number in named:
        assert getattr(limits, name) == int(number.replace(" ", "")), name


def test_the_password_that_is_made_for_kubernetes_ends_with_its_last_letter(tmp_path: Path) -> None:
    """KEDA takes a secret as it is, a line break with it."""
    (command,) = re.findall(r"^(.*) > redis-password$", PAGE, flags=re.MULTILINE)
    made = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"[0-9a-f]{64}", made.stdout)


def test_every_variable_that_says_where_files_lie_is_told() -> None:
    """They are no settings of API or workers, so the table has none of them."""
    assert all(f"{name}`" in PAGE or f"${name}/" in PAGE for name in ("RADII_DATA_DIR", "XDG_DATA_HOME"))


def test_lifetimes_are_those_of_the_code() -> None:
    """Rows of limits.md that name a constant."""
    page = (ROOT / "docs" / "limits.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| ([\d ]+) \| `(?!RADII_)([A-Z_]+)` \|$", page, flags=re.MULTILINE)
    assert len(rows) >= 12
    for number, name in rows:
        assert getattr(limits, name) == int(number.replace(" ", "")), name
