"""``radii openapi``: the description of the HTTP API."""

import json
from pathlib import Path
from typing import Annotated

import typer

from radii.errors import CommandError


def openapi(
    out: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
) -> None:
    """Print the OpenAPI document of the HTTP API, for generating clients. Needs no server."""
    from service.app import describe_api

    text = json.dumps(describe_api(), ensure_ascii=False, indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"'out' must be a file that can be written, got {str(out)!r}: {error.strerror}"
        ) from error
