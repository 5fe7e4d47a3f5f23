"""Options made from a model: names, types, flags, lists and help."""

from enum import StrEnum
from typing import Annotated, Any

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from radii.commands.options import options_from


class Colour(StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    """Fields of every kind."""

    size: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Size [in metres].")
    n_items: int = Field(default=3, description="How many.")
    colour: Colour = Field(default=Colour.RED, description="Its `colour`.")
    wrapped: bool | None = Field(default=None, description="Wrap it.")
    prices: list[float] | None = Field(default=None, description="What to pay.")
    tags: tuple[str, ...] = Field(default=("a", "b"), description="Tags.")
    name: str = Field(default="x", description="Replaced by the command's own.")


@pytest.fixture
def run() -> Any:
    """Runs a command with these options, and returns what it gets."""
    app, got = typer.Typer(rich_markup_mode="rich"), dict[str, Any]()

    @app.command()
    @options_from(Order)
    def order(
        place: str,
        fields: dict[str, Any],
        name: Annotated[int, typer.Option(help="A number here.")] = 7,
    ) -> None:
        got.update({"place": place, "fields": fields, "name": name})

    def invoke(*words: str, code: int = 0) -> Any:
        got.clear()
        ran = CliRunner().invoke(app, words, env={"COLUMNS": "120", "TERM": "dumb"})
        assert ran.exit_code == code, ran.output
        return got if words[-1] != "--help" and code == 0 else " ".join(ran.output.split())

    return invoke


def test_an_omitted_option_is_no_field(run: Any) -> None:
    """The model, or a server, fills in its defaults."""
    assert run("here") == {"place": "here", "fields": {}, "name": 7}


def test_options_have_names_and_types_of_fields(run: Any) -> None:
    """As the model declares them, apart from its limits, which the model checks."""
    words = ("--size", "-1.5", "--n-items", "4", "--colour", "blue", "--name", "8")
    got = run("here", *words)
    assert got["fields"] == {"size": -1.5, "n_items": 4, "colour": "blue"}
    assert got["name"] == 8
    assert "'--n-items'" in run("here", "--n-items", "many", code=2)
    assert "'--colour'" in run("here", "--colour", "green", code=2)


def test_a_flag_can_be_denied(run: Any) -> None:
    assert run("here", "--wrapped")["fields"] == {"wrapped": True}
    assert run("here", "--no-wrapped")["fields"] == {"wrapped": False}


def test_a_list_is_repeated_or_separated_by_commas(run: Any) -> None:
    """Its items are texts, of which the model makes what it needs."""
    fields = run("here", "--prices", "1, 2.5,", "--prices", "3", "--tags", "c")["fields"]
    assert fields == {"prices": ["1", "2.5", "3"], "tags": ["c"]}
    assert Order.model_validate(fields).prices == [1, 2.5, 3]


def test_help_is_the_description(run: Any) -> None:
    """With the default, where the model has one; brackets are no markup."""
    said = run("--help")
    for words in (
        "Size [in metres].",
        "How many. Default: 3.",
        "Its `colour`. Default: red.",
        "--wrapped --no-wrapped",
        "Wrap it.",
        "<float>,… What to pay. Separated by commas; repeatable.",
        "Default: a,b.",
        "A number here. [default: 7]",
    ):
        assert words in said.replace("│", "").replace("  ", " ")
    assert "Replaced" not in said


def test_a_required_field_is_a_required_option() -> None:
    class Needed(BaseModel):
        """One field."""

        level: float = Field(description="Level.")

    app = typer.Typer()

    @app.command()
    @options_from(Needed)
    def command(fields: dict[str, Any]) -> None:
        typer.echo(fields["level"])

    assert CliRunner().invoke(app, []).exit_code == 2
    assert CliRunner().invoke(app, ["--level", "2"]).output == "2.0\n"
