"""``radii evaluate``: measure bundles on test images, and write tables and a report."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
import torch
import typer
from rich.console import Console
from rich.table import Table

from contract.settings import ExecutionSettings
from evaluation.bundles import chosen_bundles
from evaluation.certificates.cases import Certifier
from evaluation.certificates.one_process import OneProcess
from evaluation.errors import EvaluationError
from evaluation.options import EXECUTION, OPTIONS, EvaluationOptions, command_of, plan_from, require_of_use
from evaluation.plan import SuiteName
from evaluation.report.contents import Cell
from evaluation.report.contents import Table as ReportTable
from evaluation.run import Means
from evaluation.run import evaluate as run
from models.bundles import BundleError
from models.data import DatasetError, load_dataset
from radii.commands.options import options_from
from radii.errors import CommandError
from radii.fanout import Fanout

_VOTES = (SuiteName.CERTIFY, SuiteName.BOUNDS, SuiteName.LEVELS)  # suites that count votes by a backend
_COLUMNS = 6  # that fit a terminal


@options_from(EvaluationOptions)
def evaluate(
    bundle: Annotated[list[str], typer.Argument(help="Names of shipped bundles, or folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the report; the same command goes on where it was.")],
    fields: Mapping[str, Any],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set's files. Default: the usual places.")
    ] = None,
    redis_url: Annotated[
        str | None, typer.Option(help="certify: let the workers of the service behind this Redis do it.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, help="With --redis-url: jobs on the queue at a time.")
    ] = 16,
) -> None:
    """Measure bundles on test images and write CSV, JSON and an HTML report.

    Every measurement is kept as soon as it is made: after an interruption the same command goes on. An option
    that none of the suites uses is refused.
    """
    console = Console(stderr=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    execution = {name: fields[name] for name in EXECUTION if name in fields}
    settings = ExecutionSettings(**execution)
    given = {name: value for name, value in fields.items() if name in OPTIONS}
    try:
        folders, digests = chosen_bundles(bundle, settings.models)
        plan = plan_from(digests, given)
        _require_use_of_execution(execution, redis_url, plan.suites)

        def certifier(journal: str) -> AbstractContextManager[Certifier]:
            if redis_url is not None:
                return Fanout(redis_url, journal, in_flight)
            return nullcontext(OneProcess(folders, settings))

        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        execution.pop("threads", None)  # they decide no table
        command = partial(command_of, bundle, given | execution)
        means = Means(folders, load_dataset(plan.dataset, data), settings, certifier)
        outcomes, written = run(plan, means, out, command, console)
    except (EvaluationError, BundleError, DatasetError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:  # a full disk, say: what was measured before is kept
        raise CommandError(
            f"'out' must be a folder that can be written, got {out}: {error.strerror}"
        ) from error
    except KeyboardInterrupt:
        raise CommandError(f"interrupted; the same command goes on from {out}") from None
    for outcome in outcomes.values():
        for table in outcome.tables[:1]:
            _show(table)
    console.print(f"{len(written)} files written to [bold]{out}[/bold]; open {out / 'report.html'}")


def _require_use_of_execution(
    execution: Mapping[str, Any], redis_url: str | None, suites: tuple[SuiteName, ...]
) -> None:
    """Refuse options of execution that nothing here would use."""
    if redis_url is not None:
        require_of_use("redis_url", (SuiteName.CERTIFY,), redis_url, suites)
    for name in ("backend", "dtype"):
        if name not in execution:
            continue
        require_of_use(name, _VOTES, execution[name], suites)
        if redis_url is not None and not {*_VOTES[1:]} & {*suites}:
            raise EvaluationError(
                f"'{name}' must be omitted where --redis-url leaves it to workers, got {execution[name]!r}"
            )


def _show(table: ReportTable) -> None:
    """Print the first columns of a table; the report has all of them."""
    shown = Table(*table.columns[:_COLUMNS], title=table.title, title_justify="left")
    for row in table.rows:
        shown.add_row(*map(_shown, row[:_COLUMNS]))
    Console().print(shown)


def _shown(value: Cell) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
