"""`radii healthcheck`: the health check of a container."""

from typing import Annotated

import httpx
import typer
from pydantic import ValidationError

from contract.redis_url import describe_settings
from contract.settings import ProcessSettings


def healthcheck(
    api: Annotated[bool, typer.Option("--api", help="Check the API on this machine.")] = False,
    worker: Annotated[bool, typer.Option("--worker", help="Check the worker on this machine.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API.")] = 8000,
) -> None:
    """Exit with 0 if the API or the worker on this machine is alive, else with 1 and the reason.

    Needs no Redis: restarting a container does not help while Redis is down.
    """
    if api == worker:
        raise typer.BadParameter("one of --api and --worker must be given")
    why = _why_no_api(port) if api else _why_no_worker()
    if why is not None:
        typer.echo(why, err=True)
        raise typer.Exit(1)


def _why_no_api(port: int) -> str | None:
    try:
        status = httpx.get(f"http://127.0.0.1:{port}/livez", timeout=2, trust_env=False).status_code
    except httpx.TransportError as error:
        return f"the API on port {port} does not answer: {error or type(error).__name__}"
    return None if status == 200 else f"the API on port {port} answers /livez with {status}"


def _why_no_worker() -> str | None:
    from workers.process.liveness.status_file import seconds_since_beat

    try:
        most = ProcessSettings().timing.engine_alive_seconds
    except ValidationError as error:
        return describe_settings(error)
    age = seconds_since_beat()
    if age is None:
        return "no worker runs on this machine, or its engine has not started yet"
    if age <= most:
        return None
    return f"the engine's status file must be <= {most:g} s old, got {age:.0f} s"
