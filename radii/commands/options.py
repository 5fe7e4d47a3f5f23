"""Command options made from pydantic models: a field is written once, in its model."""

import inspect
from collections.abc import Callable
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Optional, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.markup import escape


def options_from(model: type[BaseModel]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command one option for each field of a model.

    The command has a parameter ``fields`` and gets there, by name, the values of the options that were given.
    Names, types and defaults of the options are the model's; their help is the fields' descriptions. A list
    is an option that can be repeated and whose values can be separated by commas. Where the command has a
    parameter of a field's name, that stays as it is.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        names = [name for name in model.model_fields if name not in signature.parameters]

        @wraps(command)
        def with_options(*args: Any, **given: Any) -> None:
            fields = {name: given.pop(name) for name in names if name in given}
            command(
                *args, fields={n: _items(value) for n, value in fields.items() if value is not None}, **given
            )

        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name == "fields":
                parameters += (_option(name, model.model_fields[name]) for name in names)
            else:
                parameters.append(parameter)
        # `inspect.signature`, by which typer finds the options, reads this before the code.
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # mypy
        with_options.__annotations__ = {one.name: one.annotation for one in parameters}
        return with_options

    return decorate


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """Returns the parameter that typer makes an option of; None stands for an omitted one."""
    kind, flag, metavar = _plain(field.annotation), "--" + name.replace("_", "-"), None
    words = [field.description or ""]
    if kind is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    elif get_origin(kind) in (list, tuple):
        metavar = f"<{getattr(_plain(get_args(kind)[0]), '__name__', 'value')}>,…"
        kind = list[str]
        words.append("Separated by commas; repeatable.")
    if not field.is_required() and field.default not in (None, PydanticUndefined):
        words.append(f"Default: {_shown(field.default)}.")
    # No default of typer's own: what is omitted is the server's (or the plan's) to decide.
    option = typer.Option(flag, help=escape(" ".join(words).strip()), metavar=metavar, show_default=False)
    required = field.is_required()
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind if required else Optional[kind], option],  # noqa: UP045 (kind is a value)
    )


def _plain(kind: Any) -> Any:
    """Strips a type of its constraints and of None.

    >>> _plain(Annotated[float, "> 0"] | None)
    <class 'float'>
    """
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        some, *others = [one for one in get_args(kind) if one is not NoneType]
        return str if others else _plain(some)  # the model knows which of several types a text is
    return kind


def _items(value: object) -> object:
    """Splits the values of a list at their commas.

    >>> _items(["0.25,0.5", "1"]), _items(3)
    (['0.25', '0.5', '1'], 3)
    """
    if not isinstance(value, list | tuple):
        return value
    return [item.strip() for text in value for item in str(text).split(",") if item.strip()]


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
