"""``radii memory``: inspect, export and check the memory of certified regions."""

import json as json_text
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from contract.redis_url import DEFAULT_REDIS_URL, full_redis_url
from radii.errors import CommandError

if TYPE_CHECKING:
    from redis import Redis

    from radii.memory.reading import MemoryName

app = typer.Typer(no_args_is_help=True)

RedisUrl = Annotated[
    str | None,
    typer.Option(envvar="RADII_REDIS_URL", help="Redis server. Default: the one of a running `radii serve`."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="RADII_DATA_DIR", help="Data directory of a running `radii serve`."),
]
Digest = Annotated[str, typer.Option(help="Only memories of models whose digest starts with this.")]
Namespace = Annotated[str | None, typer.Option(help="Only memories of this namespace.")]


@app.command()
def stats(
    model_digest: Digest = "",
    memory: Namespace = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON, including the number of regions per label.")
    ] = False,
) -> None:
    """List the memories and their sizes."""
    from radii.memory.statistics import measure
    from radii.show.memories import show_memories

    with _reading(redis_url, data_dir) as redis:
        found = [measure(redis, name, labels=json) for name in _find(redis, model_digest, memory)]
    if json:
        typer.echo(json_text.dumps(list(map(asdict, found)), indent=2, ensure_ascii=False))
    else:
        show_memories(Console(), found)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write; `-` is standard output.")],
    model_digest: Digest = "",
    memory: Namespace = None,
    centers: Annotated[
        bool, typer.Option("--centers", help="Include the pixels of each centre, in base64.")
    ] = False,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Write one memory as JSON lines: a header, then its regions in order."""
    from radii.memory.export import export_lines
    from radii.memory.reading import MemoryLog

    with _reading(redis_url, data_dir) as redis:
        log = MemoryLog(redis, _only(_find(redis, model_digest, memory)))
        lines = export_lines(log, centers=centers)
        if str(out) == "-":
            sys.stdout.buffer.writelines(lines)
        else:
            _write(out, lines)


@app.command()
def check(
    model_digest: Digest = "",
    memory: Namespace = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Replay memories, and prove that no two regions of different labels share a point.

    Also checks that no record was lost or changed, and that every centre is the certified image.
    """
    from radii.memory.check import replay
    from radii.memory.reading import MemoryLog
    from radii.show.memories import show_verdict
    from radii.show.progress import replay_bar

    console, sound = Console(), True
    with _reading(redis_url, data_dir) as redis:
        names = _find(redis, model_digest, memory)
        for name in names:
            started, log = time.perf_counter(), MemoryLog(redis, name)
            with replay_bar(Console(stderr=True)) as report:
                verdict = replay(log, report)
            show_verdict(console, log, verdict, time.perf_counter() - started)
            sound = sound and not verdict.violations
    if not names:
        console.print("no memory holds a region yet: nothing to check")
    if not sound:
        raise typer.Exit(1)


def _find(redis: "Redis", digest: str, namespace: str | None) -> list["MemoryName"]:
    """Finds the memories to read; that none exists is an error only if one was named."""
    from radii.memory.reading import find_memories

    names = find_memories(redis, digest, namespace)
    if not names and (digest or namespace is not None):
        there = ", ".join(f"{name.model_digest[:12]}/{name.namespace}" for name in find_memories(redis))
        asked = f"{digest or 'any model'}/{namespace or 'any name'}"
        raise CommandError(f"no memory {asked}; known memories: {there or 'none'}")
    return names


def _only(names: list["MemoryName"]) -> "MemoryName":
    if len(names) == 1:
        return names[0]
    if not names:
        raise CommandError("no memory holds a region yet: nothing to export")
    there = ", ".join(f"{name.model_digest[:12]}/{name.namespace}" for name in names)
    raise CommandError(f"choose one memory by --model-digest and --memory: {there}")


def _write(out: Path, lines: Iterator[bytes]) -> None:
    """Writes a part file and renames it at the end, so that the file is never half a memory."""
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            file.writelines(lines)
        part.replace(out)
    except OSError as error:
        words = f"'out' must be a file that can be written, got {str(out)!r}: {error.strerror}"
        raise CommandError(words) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _reading(redis_url: str | None, data_dir: Path | None) -> Iterator["Redis"]:
    """Opens the Redis server; its errors end the command."""
    from redis import Redis, exceptions

    from contract.redis_url import without_secrets

    address = store_address(redis_url, data_dir)
    shown = without_secrets(address)
    try:
        client = Redis.from_url(address, socket_connect_timeout=5)
    except ValueError:  # its message may contain the password
        raise CommandError(f"'redis-url' must be the address of a Redis server, got {shown}") from None
    try:
        with client as redis:
            yield redis
    except exceptions.RedisError as error:
        raise CommandError(
            f"the Redis server at {shown} cannot be read ({error}): choose another by --redis-url"
        ) from error


def store_address(redis_url: str | None, data_dir: Path | None) -> str:
    """Returns the Redis address given, else that of a running `radii serve`, else the workers' default."""
    from radii import embedded
    from radii.own_key import default_data_dir

    if redis_url is not None:
        if data_dir is not None and "RADII_DATA_DIR" not in os.environ:
            raise CommandError(f"'data-dir' = {data_dir} has no meaning with 'redis-url': omit one of them")
        return _with_password(redis_url)
    try:
        running = embedded.running_url(data_dir or default_data_dir())
    except (OSError, ValueError) as error:
        raise CommandError(f"'data-dir' must be a directory that can be read, got {error}") from error
    if running is None and data_dir is not None:
        raise CommandError(
            f"no `radii serve` with its own store runs in '{data_dir}': start it, or use --redis-url"
        )
    return running or _with_password(DEFAULT_REDIS_URL)


def _with_password(redis_url: str) -> str:
    try:
        return full_redis_url(redis_url, os.environ.get("RADII_REDIS_PASSWORD_FILE"))
    except ValueError as error:
        raise CommandError(str(error)) from None
