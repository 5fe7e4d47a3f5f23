"""Accuracy under common corruptions, with mCE and relative mCE against a baseline classifier.

Reference:
    Hendrycks & Dietterich, ICLR 2019; "Covariate Shift Adaptation for Adversarially Robust Classifier",
    Table 3, for adapted classifiers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from torch import nn

from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.statistics.corruption_error import Mistakes, corruption_errors, jackknifed
from evaluation.statistics.intervals import known_interval
from evaluation.subject import Images, Subject, as_digits, right_answers
from evaluation.suites.corrupt import applicable, corrupt
from evaluation.suites.suite import Bench, Cell
from models.images import as_pixels
from smoothing import Gaussian

CLEAN = "none"
"""What images without corruption are called."""

_UNSEEN_NOISE = Gaussian(1e-6)  # adaptation is by the corruption, and by no noise besides
_TRAINED, _ADAPTED = "as trained", "adapted"


def cells(bench: Bench) -> Iterator[Cell]:
    """Yield the images as they are, then every corruption at every severity, with all classifiers."""
    names = _names(bench)  # what is refused is refused before anything is measured
    yield _cell(bench, CLEAN, 0)
    for name in names:
        for severity in bench.plan.corruptions.severities:
            yield _cell(bench, name, severity)


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Make a table of errors, one of mCE, and a chart over severities."""
    clean, corrupted = rows[0], rows[1:]
    baseline = f"{plan.corruptions.baseline or next(iter(plan.bundles))}, {_TRAINED}"
    mistakes = {
        scheme: mistakes_of((row["corruption"], row["right"][scheme]) for row in rows)
        for scheme in clean["right"]
    }
    cleans, errors = {}, {}
    for scheme, found in mistakes.items():
        cleans[scheme], errors[scheme] = found.rates()
    ratios = {scheme: corruption_errors(errors[scheme], errors[baseline]) for scheme in errors}
    relative = {
        scheme: corruption_errors(errors[scheme], errors[baseline], cleans[scheme], cleans[baseline])
        for scheme in errors
    }
    left_out = _left_out(clean) + _unmeasured(relative[baseline])
    summary = _summary(mistakes, baseline, plan.certify.confidence, left_out)
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
            for scheme in errors
            for name in errors[scheme]
        ),
    )
    chart = _chart(_severities(corrupted), errors, cleans)
    return Outcome((summary, each), (chart,), details=(_details(rows),))


def _cell(bench: Bench, name: str, severity: int) -> Cell:
    def measure() -> Row:
        images = _corrupted(bench.images, name, severity, bench.plan.seed)
        right = {}
        for subject in bench.subjects:
            for scheme, module in _classifiers(bench, subject, name, severity):
                right[f"{subject.name}, {scheme}"] = as_digits(right_answers(module, images).tolist())
        row: dict[str, object] = {"corruption": name, "severity": severity, "right": right}
        if name == CLEAN:
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
    if name == CLEAN:
        return images
    bytes_ = (images.pixels * 255).round().cpu().numpy().astype(np.uint8)
    pixels = as_pixels(corrupt(bytes_, name, severity, seed=seed), images.pixels.device)
    return Images(pixels, images.labels, images.indices)


def mistakes_of(answers: Iterable[tuple[str, str]]) -> Mistakes:
    """Return what a classifier answers wrong, from digits that are 1 where an image is answered right.

    Args:
        answers: Corruption and digits, severity by severity; the images as they are come as "none".
    """
    found: dict[str, list[list[float]]] = {}
    for name, digits in answers:
        found.setdefault(name, []).append([float(digit == "0") for digit in digits])
    (clean,) = found.pop(CLEAN)
    return Mistakes(np.array(clean), {name: np.array(wrong) for name, wrong in found.items()})


def _summary(mistakes: Mapping[str, Mistakes], baseline: str, confidence: float, left_out: str) -> Table:
    lines = []
    for scheme, found in mistakes.items():
        clean, _ = found.rates()
        of_images = np.mean([wrong.mean(axis=0) for wrong in found.corrupted.values()], axis=0).tolist()
        line = [scheme, found.images, clean, fmean(of_images), *known_interval(of_images, confidence)]
        for relative in (False, True):
            ratio = jackknifed(found, mistakes[baseline], relative=relative)
            line += [ratio.value, *ratio.interval(confidence)]
        lines.append(tuple(line))
    return Table(
        "corruptions",
        "Mean corruption error",
        (
            "classifier", "images", "clean error", "mean error", "error from", "error to", "mCE", "mCE from",
            "mCE to", "relative mCE", "relative mCE from", "relative mCE to",
        ),
        tuple(lines),
        f"The errors of “{baseline}” are 1. Smaller is better. From – to: with probability {confidence:g} "
        "over which images are the test images (jackknife); empty where a single image decides under which "
        "corruptions there is anything to measure against. Severities are those of ImageNet-C, made for 224 "
        "pixels: on smaller images blurs are far stronger than there, so compare with figures on the same "
        "images only. Adapted: batch-norm statistics of clean training images that are corrupted likewise."
        + left_out,
    )  # fmt: skip


def _details(rows: Sequence[Row]) -> Table:
    return Table(
        "corruptions-images",
        "Answers under each corruption, image by image",
        ("classifier", "corruption", "severity", "right"),
        tuple(
            (scheme, row["corruption"], row["severity"], row["right"][scheme])
            for scheme in rows[0]["right"]
            for row in rows
        ),
        "A digit per image, 1 where it is answered right.",
    )


def _severities(rows: Sequence[Row]) -> list[int]:
    return list(dict.fromkeys(row["severity"] for row in rows))


def _left_out(clean: Row) -> str:
    return "".join(f" Left out: {name}, since {why}." for name, why in clean["left_out"].items())


def _unmeasured(ratios: Mapping[str, float | None]) -> str:
    """Name corruptions under which the baseline is no worse: nothing can be measured against it there."""
    names = [name for name, ratio in ratios.items() if ratio is None]
    return f" Without a relative CE, as the baseline gets no worse: {', '.join(names)}." if names else ""


def _chart(
    severities: Sequence[int],
    errors: Mapping[str, Mapping[str, Sequence[float]]],
    cleans: Mapping[str, float],
) -> Chart:
    axis = (0.0, *map(float, severities))
    lines = tuple(
        Line(scheme, axis, (cleans[scheme], *map(fmean, zip(*found.values(), strict=True))))
        for scheme, found in errors.items()
    )
    return Chart("corruptions", "Mean error by severity", "severity", "error", lines)
