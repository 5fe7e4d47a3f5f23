"""Accuracy under common corruptions, with mCE and relative mCE against a baseline classifier.

Reference:
    Hendrycks & Dietterich, ICLR 2019; "Covariate Shift Adaptation for Adversarially Robust Classifier",
    Table 3, for adapted classifiers.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from models.evaluation.bench import Bench, Cell, Chart, Line, Outcome, Row, Table, mean
from models.evaluation.errors import EvaluationError
from models.evaluation.mce import corruption_errors, mean_of_known, relative_corruption_errors
from models.evaluation.pictures import applicable, corrupt
from models.evaluation.plan import EvaluationPlan
from models.evaluation.subject import Images, Subject, as_digits, as_pixels, right_answers
from smoothing import Gaussian

_CLEAN = "none"
_UNSEEN_NOISE = Gaussian(1e-6)  # adaptation is by the corruption, and by no noise besides
_TRAINED, _ADAPTED = "as trained", "adapted"


class CorruptionSuite:
    """Fifteen corruptions at five severities, as far as they apply."""

    def cells(self, bench: Bench) -> Iterator[Cell]:
        """Yield the images as they are, then every corruption at every severity, with all classifiers."""
        names = _names(bench)
        yield _cell(bench, _CLEAN, 0)
        for name in names:
            for severity in bench.plan.corruptions.severities:
                yield _cell(bench, name, severity)

    def outcome(self, plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
        """Make a table of errors, one of mCE, and a chart over severities."""
        clean, corrupted = rows[0], rows[1:]
        schemes = list(clean["right"])
        baseline = f"{plan.corruptions.baseline or next(iter(plan.bundles))}, {_TRAINED}"
        errors = {scheme: _errors(corrupted, scheme) for scheme in schemes}
        cleans = {scheme: _error(clean, scheme) for scheme in schemes}
        ratios = {scheme: corruption_errors(errors[scheme], errors[baseline]) for scheme in schemes}
        relative = {
            scheme: relative_corruption_errors(
                errors[scheme], cleans[scheme], errors[baseline], cleans[baseline]
            )
            for scheme in schemes
        }
        summary = Table(
            "corruptions",
            "Mean corruption error",
            ("classifier", "images", "clean error", "mean error", "mCE", "relative mCE"),
            tuple(
                (
                    scheme,
                    len(next(iter(clean["right"].values()))),
                    cleans[scheme],
                    mean([mean(found) for found in errors[scheme].values()]),
                    mean_of_known(ratios[scheme]),
                    mean_of_known(relative[scheme]),
                )
                for scheme in schemes
            ),
            f"The errors of “{baseline}” are 1. Smaller is better. Severities are those of ImageNet-C, made "
            "for 224 pixels: on smaller images blurs are far stronger than there, so compare with figures on "
            "the same images only. Adapted: batch-norm statistics of clean training images that are "
            "corrupted likewise." + _left_out(clean),
        )
        each = Table(
            "corruptions-each",
            "Error under each corruption",
            (
                "classifier",
                "corruption",
                *(f"severity {row}" for row in _severities(corrupted)),
                "CE",
                "relative CE",
            ),
            tuple(
                (scheme, name, *errors[scheme][name], ratios[scheme][name], relative[scheme][name])
                for scheme in schemes
                for name in errors[scheme]
            ),
        )
        chart = _chart(corrupted, schemes, cleans)
        return Outcome((summary, each), (chart,), details=(_details(rows, schemes),))


def _cell(bench: Bench, name: str, severity: int) -> Cell:
    def measure() -> Row:
        images = _corrupted(bench.images, name, severity, bench.plan.seed)
        right = {}
        for subject in bench.subjects:
            for scheme, module in _classifiers(bench, subject, name, severity):
                right[f"{subject.name}, {scheme}"] = as_digits(right_answers(module, images))
        row: dict[str, object] = {
            "corruption": name,
            "severity": severity,
            "right": right,
        }
        if name == _CLEAN:
            why = applicable(bench.subjects[0].bundle.card.input_shape)
            row["left_out"] = {one: reason for one, reason in why.items() if reason is not None}
        return row

    return Cell(f"{name}/{severity}", measure)


def _names(bench: Bench) -> list[str]:
    why = applicable(bench.subjects[0].bundle.card.input_shape)
    wanted = bench.plan.corruptions.names
    asked = {name: reason for name, reason in why.items() if wanted is None or name in wanted}
    found = [name for name, reason in asked.items() if reason is None]
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in asked.items())
        raise EvaluationError(f"'corruption' must hold one that applies to these images, got {reasons}")
    return found


def _classifiers(bench: Bench, subject: Subject, name: str, severity: int) -> Iterator[tuple[str, nn.Module]]:
    yield _TRAINED, subject.module
    if subject.adaptable:
        clean = subject.clean(bench.plan.corruptions.clean_size)
        labels = torch.zeros(len(clean), dtype=torch.int64)
        alike = Images(clean, labels, tuple(range(len(clean))))
        corrupted = _corrupted(alike, name, severity, bench.plan.seed + 1)
        stream = f"{name}/{severity}"
        adapted = subject.adapted(_UNSEEN_NOISE, seed=bench.plan.seed, stream=stream, clean=corrupted.pixels)
        yield _ADAPTED, adapted


def _corrupted(images: Images, name: str, severity: int, seed: int) -> Images:
    if name == _CLEAN:
        return images
    bytes_ = (images.pixels * 255).round().cpu().numpy().astype(np.uint8)
    pixels = as_pixels(corrupt(bytes_, name, severity, seed=seed), images.pixels.device)
    return Images(pixels, images.labels, images.indices)


def _error(row: Row, scheme: str) -> float:
    digits: str = row["right"][scheme]
    return digits.count("0") / len(digits)


def _errors(rows: Sequence[Row], scheme: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["corruption"], []).append(_error(row, scheme))
    return found


def _details(rows: Sequence[Row], schemes: Sequence[str]) -> Table:
    return Table(
        "corruptions-images",
        "Answers under each corruption, image by image",
        ("classifier", "corruption", "severity", "right"),
        tuple(
            (scheme, row["corruption"], row["severity"], row["right"][scheme])
            for scheme in schemes
            for row in rows
        ),
        "A digit per image, 1 where it is answered right.",
    )


def _severities(rows: Sequence[Row]) -> list[int]:
    return list(dict.fromkeys(row["severity"] for row in rows))


def _left_out(clean: Row) -> str:
    return "".join(f" Left out: {name}, since {why}." for name, why in clean["left_out"].items())


def _chart(rows: Sequence[Row], schemes: Sequence[str], cleans: dict[str, float]) -> Chart:
    severities = _severities(rows)
    lines = [
        Line(
            scheme,
            (0.0, *map(float, severities)),
            (
                cleans[scheme],
                *(
                    mean([_error(row, scheme) for row in rows if row["severity"] == severity])
                    for severity in severities
                ),
            ),
        )
        for scheme in schemes
    ]
    return Chart("corruptions", "Mean error by severity", "severity", "error", tuple(lines))
