"""One evaluation from plan to report: what the journal lacks is measured, then the tables are written."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from contract.models import ModelInfo
from contract.settings import ExecutionSettings
from evaluation.certificates.cases import Case, Certifier, cases, question_for
from evaluation.certificates.tables import as_row
from evaluation.certificates.tables import outcome as certificate_outcome
from evaluation.errors import EvaluationError
from evaluation.journal import Journal
from evaluation.plan import EvaluationPlan, SuiteName
from evaluation.records import record_of
from evaluation.report.contents import Outcome
from evaluation.report.write import write_report
from evaluation.subject import Images, Subject, choose_images, images_at
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench, Cell
from models.backends import BackendError, find_device
from models.bundles import load_bundle, read_card
from models.data import Dataset
from smoothing import SmoothingError

_UNSEEN = 512  # test images beside those evaluated, for the clean set of one sweep


Command = Callable[[Sequence[SuiteName]], str]


@dataclass(frozen=True)
class Means:
    """What an evaluation is done with; tables whose votes the backend decides name it.

    Attributes:
        folders: Bundles by name.
        dataset: Whose test split is evaluated.
        settings: How votes are executed in this process, and attacks on which device.
        certifier: From the name of the journal's run to what makes its certificates.
    """

    folders: Mapping[str, Path]
    dataset: Dataset
    settings: ExecutionSettings
    certifier: Callable[[str], AbstractContextManager[Certifier]]


def evaluate(
    plan: EvaluationPlan, means: Means, out: Path, command: Command, console: Console | None = None
) -> tuple[dict[str, Outcome], list[Path]]:
    """Measure what is missing, write the report into ``out``; return the outcomes and the files.

    The report also has what was measured in this folder before; the outcomes are of the plan's suites alone.

    Args:
        plan: What decides the outcome.
        means: What it is measured with.
        out: Folder of journal and report.
        command: From suites to the command that measures them, for the report.
        console: Where progress is shown; None: nowhere.

    Raises:
        EvaluationError: The plan does not suit the bundles or the data, or a measurement failed.
    """
    _require_fitting(plan, means)
    with Journal(out, plan) as journal, _progress(console) as progress:
        earlier = [suite for suite in SuiteName if suite not in plan.suites and journal.rows(suite)]
        cells = _cells((*plan.suites, *earlier), plan, means)
        keys = {suite: [cell.key for cell in found] for suite, found in cells.items()}
        if SuiteName.CERTIFY in (*plan.suites, *earlier):
            wanted = list(cases(plan, means.dataset.test))
            keys[SuiteName.CERTIFY] = [case.key for case in wanted]
        for suite in plan.suites:
            if suite == SuiteName.CERTIFY:
                _certify(plan, means, wanted, journal, progress)
            else:
                _measure(suite, cells[suite], _device(means).type, journal, progress)
        whole: dict[str, Outcome] = {}
        for suite in (name for name in SuiteName if name in keys):
            rows = [row for key in keys[suite] if (row := journal.get(suite, key)) is not None]
            if len(rows) == len(keys[suite]):
                make = certificate_outcome if suite == SuiteName.CERTIFY else SUITES[suite].outcome
                whole[suite] = make(plan, rows)
            elif console is not None:
                console.print(f"not in the report: {suite}, begun in this folder and never finished")
    outcomes: dict[str, Outcome] = {suite: whole[suite] for suite in plan.suites}
    plan = plan.model_copy(update={"suites": tuple(whole)})
    return outcomes, write_report(out, plan, whole, command(plan.suites))


def _certify(
    plan: EvaluationPlan, means: Means, wanted: Sequence[Case], journal: Journal, progress: Progress
) -> None:
    missing = [case for case in wanted if journal.get(SuiteName.CERTIFY, case.key) is None]
    bar = progress.add_task(SuiteName.CERTIFY, total=len(wanted), completed=len(wanted) - len(missing))
    if missing:
        with means.certifier(journal.run) as certifier:
            models = certifier.models()
            _require_same(plan, models)
            for case in {case.setting: case for case in missing}.values():
                question_for(plan, case, models[case.setting.bundle])  # refused fields are reported first
            journal.begin()
            votes = {row["run"]: row["record"]["n"] for row in journal.rows(SuiteName.CERTIFY)}
            for case, certificate in certifier.answers(plan, missing):
                record = record_of(certificate, case.index, case.label)
                _require_as_begun("n", votes.setdefault(case.setting.key, record.n), record.n)
                journal.append(SuiteName.CERTIFY, case.key, dict(as_row(case.setting, record)))
                progress.advance(bar)


def _cells(suites: Sequence[str], plan: EvaluationPlan, means: Means) -> dict[str, list[Cell]]:
    """List what is to be measured, by suite. What a suite refuses, it refuses before any of them begins."""
    named = [name for name in suites if name in SUITES]
    if not named:
        return {}
    bench = _bench(plan, means)
    return {name: list(SUITES[name].cells(bench)) for name in named}


def _measure(name: str, cells: Sequence[Cell], device: str, journal: Journal, progress: Progress) -> None:
    missing = [cell for cell in cells if journal.get(name, cell.key) is None]
    bar = progress.add_task(name, total=len(cells), completed=len(cells) - len(missing))
    for row in journal.rows(name) if missing else ():
        # noise is drawn on the device, and another one draws other noise
        _require_as_begun("device", row.get("device", device), device)
    for cell in missing:
        try:
            journal.append(name, cell.key, {**cell.measure(), "device": device})
        except (BackendError, SmoothingError) as error:
            raise EvaluationError(f"'{name}', {cell.key}: {error}") from error
        progress.advance(bar)


def _bench(plan: EvaluationPlan, means: Means) -> Bench:
    device = _device(means)
    test = means.dataset.test
    images = choose_images(test, plan.images, plan.every, device)
    subjects = [Subject(load_bundle(means.folders[name]), device) for name in plan.bundles]
    unseen = _unseen(means.dataset, images, device)
    how = {"backend": means.settings.backend, "dtype": means.settings.dtype}
    return Bench(plan, subjects, images, unseen, means.dataset.classes, **how)


def _unseen(dataset: Dataset, images: Images, device: torch.device) -> Images:
    """Test images that are not evaluated, spread evenly over the split."""
    rest = np.setdiff1d(np.arange(len(dataset.test)), np.array(images.indices))
    chosen = rest[np.linspace(0, len(rest) - 1, num=min(_UNSEEN, len(rest))).round().astype(np.int64)]
    return images_at(dataset.test, chosen.tolist(), device)


def _device(means: Means) -> torch.device:
    try:
        return find_device(means.settings.device)
    except BackendError as error:
        raise EvaluationError(str(error)) from error


def _require_as_begun(field: str, before: object, now: object) -> None:
    """Refuse to go on under what would make another measurement of it."""
    if before != now:
        raise EvaluationError(f"'{field}' must be {before}, as where this evaluation was begun, got {now}")


def _require_fitting(plan: EvaluationPlan, means: Means) -> None:
    """Refuse bundles of other images or classes before any work is done."""
    for name in plan.bundles:
        card = read_card(means.folders[name])
        for what, wanted, got in (
            ("images", means.dataset.input_shape, card.input_shape),
            ("classes", len(means.dataset.classes), len(card.classes)),
        ):
            if wanted != got:
                raise EvaluationError(
                    f"'{name}' must take {what} as {means.dataset.name} has them, {wanted}, got {got}"
                )


def _require_same(plan: EvaluationPlan, models: Mapping[str, ModelInfo]) -> None:
    """Refuse a service whose models are other ones."""
    for name, digest in plan.bundles.items():
        if name not in models:
            raise EvaluationError(f"'bundle' must be one of {', '.join(sorted(models))}, got {name!r}")
        if models[name].digest != digest:
            raise EvaluationError(
                f"'{name}' must be {digest}, and is {models[name].digest} where it is served"
            )


def _progress(console: Console | None) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=console is None)
