"""Commands that run the service, or a part of it."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from contract.logs import configure_logs
from contract.redis_url import describe_settings
from radii.commands.client import certify
from radii.embedded import DataDirectoryInUse
from radii.errors import CommandError
from radii.extras import require_extra
from radii.own_key import default_data_dir, plain_file
from radii.stack import Stack, StackFailure, StackPlan, free_port, tail
from workers.settings import WorkerSettings

Host = Annotated[str, typer.Option(envvar="RADII_HOST", help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Lifeline = Annotated[bool, typer.Option("--lifeline", hidden=True)]
ModelFolders = Annotated[
    list[Path] | None,
    typer.Option("--models", help="A bundle, or a folder of bundles, to serve as well. Repeatable."),
]

_IMAGE = "models/zoo/fashion-mnist-gaussian/examples/09-ankle-boot.png"


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Number of workers, which share the CPU cores.")] = 1,
    models: ModelFolders = None,
    redis_url: Annotated[
        str | None,
        typer.Option(envvar="RADII_REDIS_URL", help="Redis server to use instead of the embedded one."),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(envvar="RADII_DATA_DIR", help="Folder of the embedded store and of the API key.")
    ] = default_data_dir(),  # noqa: B008 (shown in the help)
    api_keys: Annotated[
        Path | None,
        typer.Option(
            envvar="RADII_API_KEYS_FILE",
            help="File of keys, written by `radii keys`. Default: a key made in the data directory.",
        ),
    ] = None,
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth", help="Require no API key. Allowed only if the API listens on this machine alone."
        ),
    ] = False,
) -> None:
    """Start store, API and workers on this machine; Ctrl-C stops all of them."""
    plan = StackPlan(
        data_dir,
        host,
        port,
        workers,
        redis_url,
        api_keys,
        auth=not no_auth and os.environ.get("RADII_AUTH") != "off",
        environment=_model_folders(models),
    )
    console = Console(stderr=True)
    with _running(plan, console) as stack:
        address = f"{stack.url}  (docs: {stack.url}/docs; Ctrl-C stops it)"
        console.print(f"[bold green]radii[/bold green] is running at {address}", soft_wrap=True)
        console.print(_who_may(plan), highlight=False, soft_wrap=True)
        while True:
            stack.keep_running()
            time.sleep(0.2)


def demo(
    image: Annotated[Path | None, typer.Argument(help="Image to certify. Default: a shipped one.")] = None,
) -> None:
    """Start everything, certify one image over HTTP, print the certificate, and stop."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="radii-demo-") as folder, Path(folder, "log").open("w") as log:
        plan = StackPlan(Path(folder) / "store", port=free_port(), log=log, stop_grace=1)
        with _running(plan, console) as stack:
            picture = image or Path(__file__).parents[2] / _IMAGE
            console.print(f"certifying {picture.name} on {stack.url}")
            certify(picture, url=stack.url, api_key=stack.api_key)


def api(host: Host = "127.0.0.1", port: Port = 8000, lifeline: Lifeline = False) -> None:
    """Run the API alone; needs Redis (`RADII_REDIS_URL`)."""
    import uvicorn

    from service.edge.limits import limited_protocol
    from service.settings import ServiceSettings

    if lifeline:
        from workers.process.liveness.lifeline import end_with_parent

        end_with_parent()
    os.environ["RADII_HOST"] = host  # the settings check that an API without keys listens on loopback alone
    try:
        settings = ServiceSettings()
    except ValidationError as error:
        raise CommandError(describe_settings(error)) from None
    # uvicorn ends by re-raising the signal that stopped it; a requested stop should exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    uvicorn.run(
        "service.app:create_app_from_environment",
        factory=True,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=10,
        # By default uvicorn trusts every process on this machine to name the client's address.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        http=limited_protocol(settings),
        ws="none",
    )


def worker(lifeline: Lifeline = False) -> None:
    """Run one worker alone; needs Redis (`RADII_REDIS_URL`)."""
    from workers.main import run

    require_extra("worker")
    raise typer.Exit(run(lifeline=lifeline))


def _model_folders(models: list[Path] | None) -> dict[str, str]:
    if not models:
        return {}
    for folder in models:
        if not folder.is_dir():
            raise CommandError(f"'models' must be a folder, got {str(folder)!r}")
    return {"RADII_MODELS": os.pathsep.join(str(folder.resolve()) for folder in models)}


def _who_may(plan: StackPlan) -> str:
    """Says where the key is, never what it is."""
    if not plan.auth:
        return "no API key is required: every user of this machine has access"
    if plan.api_keys is not None:
        return f"API keys are in '{plan.api_keys}'"
    file = plain_file(plan.data_dir)
    return f"`radii` finds your API key by itself; curl takes it by\n  -H \"X-API-Key: $(cat '{file}')\""


@contextmanager
def _running(plan: StackPlan, console: Console) -> Iterator[Stack]:
    """Runs the stack for the length of a block, and stops all of it on every way out.

    If it fails, the end of the children's log file is printed.
    """
    require_extra("worker")
    if plan.redis_url is None:
        require_extra("embedded")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        raise CommandError(describe_settings(error)) from None
    configure_logs("radii", settings.log_format, settings.log_level)
    try:
        with Stack(plan) as stack:
            with console.status("starting store, API and workers"):
                stack.wait_until_ready()
            yield stack
    except (StackFailure, DataDirectoryInUse):
        if plan.log is not None:
            console.print(tail(Path(plan.log.name)), markup=False, highlight=False)
        raise
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit from None


def _leave(_number: int, _frame: object) -> None:
    raise typer.Exit


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
