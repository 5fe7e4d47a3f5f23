"""One evaluation from plan to report: what the journal lacks is measured, then the tables are written."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from models.bundles import load_bundle, read_card
from models.data import Dataset
from models.evaluation import (
    CERTIFY,
    SUITES,
    Bench,
    EvaluationError,
    EvaluationPlan,
    Outcome,
    Subject,
    as_row,
    certificate_outcome,
    choose_images,
    settings,
    write_report,
)
from models.evaluation.subject import Images, as_pixels
from radii.evaluation.asking import Certifier, Question, task_for
from radii.evaluation.fanout import Fanout
from radii.evaluation.journal import Journal
from radii.evaluation.one_process import OneProcess
from radii.evaluation.recording import record_of
from workers.settings import WorkerSettings

_UNSEEN = 512  # test images beside those evaluated, for the clean set of one sweep


@dataclass(frozen=True)
class Means:
    """What an evaluation is done with; nothing in it decides a table.

    Attributes:
        folders: Bundles by name.
        dataset: Whose test split is evaluated.
        settings: How certificates are executed in this process, and attacks on which device.
        redis_url: Of the service that certifies; None: this process does.
        in_flight: Jobs on its queue at a time.
    """

    folders: Mapping[str, Path]
    dataset: Dataset
    settings: WorkerSettings
    redis_url: str | None = None
    in_flight: int = 16


def evaluate(
    plan: EvaluationPlan, means: Means, out: Path, command: str, console: Console | None = None
) -> tuple[dict[str, Outcome], list[Path]]:
    """Measure what is missing, write the report into ``out``; return the outcomes and the files.

    Raises:
        EvaluationError: The plan does not suit the bundles or the data, or a measurement failed.
    """
    _require_fitting(plan, means)
    with Journal(out, plan) as journal, _progress(console) as progress:
        outcomes = {}
        for suite in plan.suites:
            if suite == CERTIFY:
                outcomes[suite] = _certify(plan, means, journal, progress)
            else:
                outcomes[suite] = _measure(suite, plan, means, journal, progress)
    return outcomes, write_report(out, plan, outcomes, command)


def _certify(plan: EvaluationPlan, means: Means, journal: Journal, progress: Progress) -> Outcome:
    questions = list(_questions(plan, means.dataset))
    missing = [question for question in questions if journal.get(CERTIFY, question.key) is None]
    bar = progress.add_task(CERTIFY, total=len(questions), completed=len(questions) - len(missing))
    if missing:
        with _certifier(means, journal) as certifier:
            models = certifier.models()
            _require_same(plan, models)
            for question in {question.setting: question for question in missing}.values():
                task_for(plan, question, models[question.setting.bundle], "")  # a refusal comes first of all
            journal.begin()
            for question, certificate in certifier.answers(plan, missing):
                record = record_of(certificate, question.index, question.label)
                journal.append(CERTIFY, question.key, dict(as_row(question.setting, record)))
                progress.advance(bar)
    return certificate_outcome(plan, [_known(journal, CERTIFY, question.key) for question in questions])


def _certifier(means: Means, journal: Journal) -> AbstractContextManager[Certifier]:
    if means.redis_url is not None:
        return Fanout(means.redis_url, journal.run, means.in_flight)
    return nullcontext(OneProcess(means.folders, means.settings))


def _measure(name: str, plan: EvaluationPlan, means: Means, journal: Journal, progress: Progress) -> Outcome:
    suite, bench = SUITES[name], _bench(plan, means)
    cells = list(suite.cells(bench))
    missing = [cell for cell in cells if journal.get(name, cell.key) is None]
    bar = progress.add_task(name, total=len(cells), completed=len(cells) - len(missing))
    for cell in missing:
        journal.append(name, cell.key, dict(cell.measure()))
        progress.advance(bar)
    return suite.outcome(plan, [_known(journal, name, cell.key) for cell in cells])


def _known(journal: Journal, suite: str, key: str) -> dict[str, Any]:
    row = journal.get(suite, key)
    if row is None:
        raise EvaluationError(f"'{suite}' must have measured {key}, got nothing")
    return row


def _questions(plan: EvaluationPlan, dataset: Dataset) -> Iterator[Question]:
    test = dataset.test
    indices = list(range(0, len(test), plan.every))[: plan.images]
    for setting in settings(plan):
        for index in indices:
            key = f"{setting.key}/{index}"
            yield Question(key, setting, test, index)


def _bench(plan: EvaluationPlan, means: Means) -> Bench:
    device = _device(means.settings)
    test = means.dataset.test
    images = choose_images(test, plan.images, plan.every, device)
    subjects = [Subject(load_bundle(means.folders[name]), device) for name in plan.bundles]
    return Bench(plan, subjects, images, _unseen(means.dataset, images, device), means.dataset.classes)


def _unseen(dataset: Dataset, images: Images, device: torch.device) -> Images:
    """Test images that are not evaluated, spread evenly over the split."""
    rest = np.setdiff1d(np.arange(len(dataset.test)), np.array(images.indices))
    chosen = rest[np.linspace(0, len(rest) - 1, num=min(_UNSEEN, len(rest))).round().astype(np.int64)]
    found = dataset.test.take(chosen)
    labels = torch.from_numpy(found.labels).to(device)
    return Images(as_pixels(found.images[:], device), labels, tuple(chosen.tolist()))


def _device(settings_: WorkerSettings) -> torch.device:
    if settings_.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings_.device)


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


@contextmanager
def _progress(console: Console | None) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=console is None) as progress:
        yield progress
