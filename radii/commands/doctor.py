"""`radii doctor`: checks of this deployment, with advice."""

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.client import DEFAULT_URL
from radii.commands.client import Url
from radii.commands.memory import DataDir, RedisUrl, store_address
from radii.own_key import default_data_dir

if TYPE_CHECKING:
    from radii.doctor.findings import Finding


def doctor(
    url: Url = DEFAULT_URL,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check libraries, bundles, Redis, API, engines and queue; exit with 1 if something must be fixed.

    Changes nothing, except for one Redis key that expires after ten seconds.
    """
    from radii.doctor.findings import Severity

    found = _look(url, store_address(redis_url, data_dir), data_dir or default_data_dir())
    if json:
        typer.echo(json_text.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
    else:
        _show(found)
    if any(finding.level is Severity.FAIL for finding in found):
        raise typer.Exit(1)


def _look(url: str, address: str, data_dir: Path) -> list["Finding"]:
    from redis import Redis

    from contract.redis_url import without_secrets
    from radii.doctor import machine, service, store
    from radii.doctor.findings import guarded, skip

    shown = without_secrets(address)
    found = guarded("software", machine.look_at_software())
    found += guarded("bundles", machine.look_at_bundles())
    found += guarded("files", machine.look_at_files(data_dir))
    with Redis.from_url(address, socket_connect_timeout=3, socket_timeout=10) as redis:
        of_store = guarded("Redis", store.look_at_store(redis, shown))
        found += of_store
        if len(of_store) > 1:
            found += guarded("engines", service.look_at_engines(redis))
            found += guarded("queue", service.look_at_queue(redis))
        else:
            found.append(skip("queue and engines", "Redis does not answer"))
    return found + guarded("API", service.look_at_api(url.rstrip("/")))


def _show(found: list["Finding"]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {"ok": "green", "skip": "dim", "warn": "yellow", "fail": "bold red"}
    table = Table("", "check", "found", "advice")
    for finding in found:
        colour = colours[finding.level]
        level = f"[{colour}]{finding.level}[/{colour}]"
        table.add_row(level, finding.check, finding.message, finding.advice)
    Console().print(table)
