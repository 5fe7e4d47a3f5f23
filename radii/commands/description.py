"""The command that prints the API's description."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from radii.commands.client import fail


class OpenApiVersion(StrEnum):
    """Dialects of the document."""

    V3_0 = "3.0"
    V3_1 = "3.1"


def openapi(
    version: Annotated[OpenApiVersion, typer.Option(help="Version of OpenAPI.")] = OpenApiVersion.V3_1,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output if left out.")] = None,
) -> None:
    """Print the HTTP API's OpenAPI document, from which clients are generated. Needs no server."""
    from service.app import describe_api
    from service.openapi.dialect_3_0 import to_openapi_3_0

    document = describe_api()
    if version is OpenApiVersion.V3_0:
        document = to_openapi_3_0(document)
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise fail(f"'out' must be a file that can be written, got {str(out)!r}: {error.strerror}") from error
