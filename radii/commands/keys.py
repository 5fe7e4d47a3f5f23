"""``radii keys``: API keys, and what each may do."""

import json as json_text
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from radii.errors import CommandError
from radii.own_key import default_data_dir, hashed_file

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the key, as logs and limits show it.")]
File = Annotated[
    Path | None,
    typer.Option(
        envvar="RADII_API_KEYS_FILE", help="The API's file of keys. Default: the one of `radii serve`."
    ),
]
Answer = TypeVar("Answer")


@app.command()
def create(
    name: Name,
    scopes: Annotated[
        str, typer.Option(help="Permissions, separated by commas: certify, read, or admin for everything.")
    ] = "certify,read",
    tenant: Annotated[
        str,
        typer.Option(
            help="Tenant whose jobs, certificates and memories the key reaches. Default: no tenant."
        ),
    ] = "",
    file: File = None,
) -> None:
    """Create a key and print it. Only its hash is stored. A running API accepts it within a second."""
    from pydantic import ValidationError

    from radii import key_store
    from service.edge.api_keys import ApiKey, hash_key, new_key
    from service.edge.callers import KeyScope
    from service.field_messages import field_problem

    key, wanted = new_key(), {part.strip() for part in scopes.split(",") if part.strip()}
    if not wanted or not wanted <= set(KeyScope):
        raise CommandError(
            f"'scopes' must be some of {', '.join(KeyScope)}, separated by commas, got {scopes!r}"
        )
    try:
        made = ApiKey(name=name, sha256=hash_key(key), scopes=frozenset(map(KeyScope, wanted)), tenant=tenant)
    except ValidationError as error:
        raise CommandError(field_problem(error.errors()[0]).message) from None
    _attempt(lambda: key_store.add(_file(file), made))
    typer.echo(key)
    Console(stderr=True).print(f"added '{name}' to {_file(file)}; store the key, it is not shown again")


@app.command("list")
def list_keys(
    file: File = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, without hashes.")] = False,
) -> None:
    """List the keys, without their secrets, which are not stored."""
    from radii import key_store

    keys = _attempt(lambda: key_store.read(_file(file)))
    if json:
        shown = [key.model_dump(mode="json", exclude={"sha256"}) for key in keys]
        typer.echo(json_text.dumps(shown, indent=2))
        return
    table = Table("name", "scopes", "tenant")
    for key in keys:
        fields = key.model_dump(mode="json")
        table.add_row(key.name, ", ".join(fields["scopes"]), key.tenant)
    Console().print(table)


@app.command()
def revoke(name: Name, file: File = None) -> None:
    """Revoke a key. A running API refuses it within a second."""
    from radii import key_store

    _attempt(lambda: key_store.remove(_file(file), name))
    Console(stderr=True).print(f"removed '{name}' from {_file(file)}")


def _file(file: Path | None) -> Path:
    return file or hashed_file(default_data_dir())


def _attempt(call: Callable[[], Answer]) -> Answer:
    from service.settings import Misconfiguration

    try:
        return call()
    except Misconfiguration as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(
            f"'file' must be a file that can be written, got '{error.filename}': {error.strerror}"
        ) from None
