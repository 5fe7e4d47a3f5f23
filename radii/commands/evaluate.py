"""``radii evaluate``: measure bundles on test images, and write tables and a report."""

import inspect
import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

from contract.choices import BoundKind, NoiseKind, NoiseLevel
from radii.commands.evaluation_plan import Adapt, SuiteName, given, make_plan
from radii.errors import CommandError

if TYPE_CHECKING:
    from evaluation.plan import EvaluationPlan  # it loads torch


_ELSEWHERE = ("--out", "--redis-url", "--in-flight", "--data", "--threads")
"""Options that decide no table; the command that is kept leaves them out, or equal runs would differ."""

_OPTIONS = {"every": "skip", "attacks.steps": "attack-steps"}
"""What fields of the plan are called on the command line, where it is not much the same."""

_COLUMNS = 6  # that fit a terminal


def evaluate(
    bundle: Annotated[list[str], typer.Argument(help="Names of shipped bundles, or folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the report; the same command goes on where it was.")],
    suite: Annotated[
        list[SuiteName] | None, typer.Option(help="What is measured; repeatable. [default: certify]")
    ] = None,
    noise: Annotated[
        NoiseKind, typer.Option(help="gaussian: ℓ2; uniform: ℓ1; hybrid: both.")
    ] = NoiseKind.GAUSSIAN,
    noise_level: Annotated[
        NoiseLevel | None,
        typer.Option(help="How σ is chosen; fixed if left out, or auto where --sigma-grid is given."),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            help="Noise levels, separated by commas: one run each; levels takes one. [default: the bundle's]"
        ),
    ] = None,
    sigma_uniform: Annotated[
        float | None, typer.Option(help="Noise level of hybrid's uniform branch; --sigma's if left out.")
    ] = None,
    sigma_grid: Annotated[
        str | None,
        typer.Option(help="Levels that auto tries, separated by commas; the bundle's if left out."),
    ] = None,
    adapt: Annotated[
        Adapt | None,
        typer.Option(
            help="Re-estimate batch-norm statistics under the noise; both makes a run each. "
            "[default: where a bundle can]"
        ),
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Weight of re-estimated statistics.")] = None,
    clean_size: Annotated[int | None, typer.Option(help="Clean images to re-estimate from.")] = None,
    n0: Annotated[int, typer.Option("--n0", help="Selection votes.")] = 100,
    n: Annotated[int | None, typer.Option("--n", help="Estimation votes; the bundle's if left out.")] = None,
    alpha: Annotated[float, typer.Option(help="Failure probability of each certificate.")] = 0.001,
    bound: Annotated[BoundKind, typer.Option(help="How votes become bounds.")] = BoundKind.TWO_SIDED,
    radii: Annotated[
        str | None, typer.Option(help="Radii of the tables, separated by commas. [default: 0,0.25,…,3]")
    ] = None,
    images: Annotated[int, typer.Option(help="Test images at most.")] = 100,
    skip: Annotated[int, typer.Option(help="Take each so many-th test image only.")] = 1,
    dataset: Annotated[str, typer.Option(help="Whose test split is evaluated.")] = "fashion-mnist",
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set's files; the usual places if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    noise_sigmas: Annotated[
        str | None, typer.Option(help="noise: levels of its table. [default: 0.25,0.5,0.75,1]")
    ] = None,
    epsilons_l2: Annotated[
        str | None, typer.Option(help="attacks: ℓ2 radii. [default: 0.5,1,1.5,2,3]")
    ] = None,
    epsilons_linf: Annotated[
        str | None, typer.Option(help="attacks: ℓ∞ radii, in pixel units. [default: 4,8,12,16 of 255]")
    ] = None,
    attack_steps: Annotated[int | None, typer.Option(help="attacks: steps of PGD. [default: 40]")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="corruptions: bundle whose errors are 1. [default: the first]")
    ] = None,
    corruption: Annotated[
        list[str] | None, typer.Option(help="corruptions: only these; repeatable. [default: all that apply]")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(help="levels: values of K. [default: 0,1,2,5,10,20,50,100]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    backend: Annotated[str | None, typer.Option(help="auto, openvino, compiled or eager.")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32, bfloat16, float16 or int8.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores if left out.")] = None,
    redis_url: Annotated[
        str | None, typer.Option(help="certify: let the workers of the service behind this Redis do it.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, help="With --redis-url: jobs on the queue at a time.")
    ] = 16,
) -> None:
    """Measure bundles on test images and write CSV, JSON and an HTML report.

    Every measurement is kept as soon as it is made: after an interruption the same command goes on. An option
    that none of the suites looks at is refused.
    """
    asked = locals()
    from pydantic import ValidationError

    from evaluation.certificates.cases import Certifier
    from evaluation.errors import EvaluationError
    from evaluation.run import Means
    from evaluation.run import evaluate as run
    from models.bundles import BundleError
    from models.data import DatasetError, load_dataset
    from radii.fanout import Fanout
    from radii.one_process import OneProcess
    from workers.settings import WorkerSettings

    console = Console(stderr=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        folders, digests = _bundles(bundle)
        plan = make_plan(digests, asked, _defaults())
        chosen = {"device": device, "backend": backend, "dtype": dtype, "threads": threads}
        settings = WorkerSettings(**given(chosen))

        def certifier(run: str) -> AbstractContextManager[Certifier]:
            if redis_url is not None:
                return Fanout(redis_url, run, in_flight)
            return nullcontext(OneProcess(folders, settings))

        means = Means(folders, load_dataset(dataset, data), settings, certifier)
        _set_threads(settings.threads)
        outcomes, written = run(plan, means, out, command(sys.argv[1:]), console)
    except ValidationError as error:
        raise CommandError("; ".join(_faults(error.errors()))) from error
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


def command(arguments: Sequence[str]) -> str:
    """Return the command that repeats an evaluation, without what decides no table.

    >>> command(["evaluate", "mine", "--out", "here", "--redis-url=redis://:secret@x", "--n", "1000"])
    'radii evaluate mine --n 1000 --out FOLDER'
    """
    kept: list[str] = []
    left = iter(arguments)
    for word in left:
        if word in _ELSEWHERE:
            next(left, None)
        elif not word.startswith(tuple(f"{option}=" for option in _ELSEWHERE)):
            kept.append(word)
    return shlex.join(["radii", *kept, "--out", "FOLDER"])


def plan_of(arguments: Sequence[str]) -> "EvaluationPlan":
    """Return the plan of a command line, what follows ``radii evaluate``; nothing is measured.

    Raises:
        BundleError: A bundle is not there, or broken.
        click.UsageError: The command line is not understood.
        typer.Exit: An option is of no use to the suites, or is no list of numbers; it has been told why.
        ValidationError: The plan breaks a rule.
    """
    whole = typer.Typer()
    whole.command("evaluate")(evaluate)
    context = typer.main.get_command(whole).make_context("evaluate", [*arguments, "--out", "FOLDER"])
    _, digests = _bundles(context.params["bundle"])
    return make_plan(digests, context.params, _defaults())


def _defaults() -> dict[str, Any]:
    """What options are where they are left out."""
    return {name: parameter.default for name, parameter in inspect.signature(evaluate).parameters.items()}


def _bundles(wanted: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Return folders and digests by name."""
    from models.bundles import BundleExistsError, bundle_digest, find_bundles, read_card
    from workers.settings import WorkerSettings

    known = find_bundles(WorkerSettings().models)
    folders: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for word in wanted:
        folder = known.get(word, Path(word))
        card = read_card(folder)
        if card.name in folders and folders[card.name] != folder:
            raise BundleExistsError(f"'bundle' must be each of another name, got '{card.name}' twice")
        folders[card.name], digests[card.name] = folder, bundle_digest(card)
    return folders, digests


def _faults(errors: Sequence[Any]) -> Iterator[str]:
    for fault in errors:
        if fault["type"] == "value_error":  # a rule of the plan's own, whose message names field and value
            yield str(fault["ctx"]["error"])
            continue
        where = ".".join(map(str, fault["loc"])) or "plan"
        where = _OPTIONS.get(where, where)
        yield f"'{where}' {fault['msg']}, got {str(fault['input'])[:80]}"


def _set_threads(threads: int | None) -> None:
    """As an engine does."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _show(table: Any) -> None:
    """The first columns of a table; the report has all of them."""
    shown = Table(*table.columns[:_COLUMNS], title=table.title, title_justify="left")
    for row in table.rows:
        shown.add_row(*("" if value is None else _shown(value) for value in row[:_COLUMNS]))
    Console().print(shown)


def _shown(value: str | int | float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
