"""Pictures of the loss's gradient in the image, under noise, as trained and adapted.

Reference:
    "Certification through Adaptation", Figure 2; scaled as in Tsipras et al., "Robustness May Be at Odds with
    Accuracy", ICLR 2019: clipped at three standard deviations, 0 in the middle.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Outcome, Picture
from evaluation.subject import Subject
from evaluation.suites.suite import Bench, Cell
from models.training.attacks import cross_entropy_of, undisturbed
from smoothing import Gaussian, generator_for

_SIDE = 96  # pixels of one picture in the grid
_GAP = 6
_HEADER = 18


def cells(bench: Bench) -> Iterator[Cell]:
    """Yield a grid per bundle."""
    for subject in bench.subjects:
        yield Cell(subject.name, partial(_measure, bench, subject))


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Return the pictures."""
    levels = ", ".join(f"{sigma:g}" for sigma in plan.gradients.sigmas)
    return Outcome(
        pictures=tuple(
            Picture(
                f"gradients-{row['bundle']}",
                f"Loss gradients of {row['bundle']}",
                base64.b64decode(row["png"]),
                f"Rows: test images {', '.join(map(str, row['indices']))}. First column: the image. "
                f"Then, at σ = {levels}, the gradient of the loss in the noisy image: {row['columns']}. "
                "Grey is 0.",
            )
            for row in rows
        )
    )


def loss_gradients(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the cross entropy in each image ``(m, c, h, w)``."""
    leaf = images.detach().clone().requires_grad_()
    with undisturbed(module):
        (gradient,) = torch.autograd.grad(cross_entropy_of(module, labels)(leaf), leaf)
    return gradient


def as_picture(gradient: Tensor) -> NDArray[np.uint8]:
    """Return one gradient ``(c, h, w)`` as 8-bit values of the same shape, 0 being grey (128).

    Three standard deviations about 0 are black and white; what lies beyond is clipped.

    >>> as_picture(torch.tensor([[[0.0, 1.0, -1.0]]])).tolist()
    [[[128, 180, 75]]]
    """
    spread = 3 * float(gradient.square().mean().sqrt())
    scaled = gradient / (2 * spread) + 0.5 if spread > 0 else torch.full_like(gradient, 0.5)
    found: NDArray[np.uint8] = (scaled.clamp(0, 1) * 255).round().cpu().numpy().astype(np.uint8)
    return found


def _measure(bench: Bench, subject: Subject) -> Row:
    plan = bench.plan.gradients
    chosen = slice(0, plan.images)
    images, labels = bench.images.pixels[chosen], bench.images.labels[chosen]
    columns = [("image", [_plain(image) for image in images])]
    for scheme in ("as trained", "adapted") if subject.adaptable else ("as trained",):
        for sigma in plan.sigmas:
            if scheme == "adapted" and sigma == 0:
                continue
            noisy, module = images, subject.module
            if sigma > 0:
                generator = generator_for(bench.plan.seed, f"gradients/{sigma!r}", device=images.device)
                noisy = images + Gaussian(sigma).sample(images.shape, generator=generator)
                if scheme == "adapted":
                    module = subject.adapted(Gaussian(sigma), seed=bench.plan.seed, stream="gradients")
            found = loss_gradients(module, noisy, labels)
            title = f"{sigma:g} {'adapted' if scheme == 'adapted' else 'trained'}"
            columns.append((title, [as_picture(gradient) for gradient in found]))
    return {
        "bundle": subject.name,
        "indices": list(bench.images.indices[chosen]),
        "columns": "first as trained, then adapted to that noise" if subject.adaptable else "as trained",
        "png": base64.b64encode(_grid(columns)).decode(),
    }


def _plain(image: Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = (image * 255).round().cpu().numpy().astype(np.uint8)
    return found


def _grid(columns: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]]) -> bytes:
    """Lay out pictures ``(c, h, w)``, each column under its title, as a PNG."""
    rows = len(columns[0][1])
    size = (len(columns) * (_SIDE + _GAP) + _GAP, _HEADER + rows * (_SIDE + _GAP) + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for place, (title, pictures) in enumerate(columns):
        left = _GAP + place * (_SIDE + _GAP)
        draw.text((left, 4), title, fill="black")
        for row, picture in enumerate(pictures):
            whole = picture.repeat(3, axis=0) if len(picture) == 1 else picture
            shown = Image.fromarray(np.ascontiguousarray(whole.transpose(1, 2, 0)))
            shown = shown.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
            sheet.paste(shown, (left, _HEADER + row * (_SIDE + _GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
