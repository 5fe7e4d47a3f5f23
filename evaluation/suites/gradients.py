"""Pictures of the loss's gradient in the image, under noise, as trained and adapted.

Reference:
    "Certification through Adaptation", Figure 2; scaled as in Tsipras et al., "Robustness May Be at Odds with
    Accuracy", ICLR 2019: clipped at three standard deviations, 0 in the middle.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

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


def as_picture(gradient: Tensor) -> Tensor:
    """Return one gradient ``(c, h, w)`` in [0, 1], 0 being grey.

    Three standard deviations about 0 are black and white; what lies beyond is clipped.

    >>> (as_picture(torch.tensor([[[0.0, 1.0, -1.0]]])) * 255).round().tolist()
    [[[128.0, 180.0, 75.0]]]
    """
    spread = 3 * float(gradient.square().mean().sqrt())
    return (gradient / (2 * spread) + 0.5).clamp(0, 1) if spread > 0 else torch.full_like(gradient, 0.5)


def _measure(bench: Bench, subject: Subject) -> Row:
    plan = bench.plan.gradients
    chosen = slice(0, plan.images)
    images, labels = bench.images.pixels[chosen], bench.images.labels[chosen]
    columns = [("image", list(images))]
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


def _grid(columns: Sequence[tuple[str, Sequence[Tensor]]]) -> bytes:
    """Lay out pictures ``(c, h, w)`` in [0, 1], each column under its title, as a PNG."""
    rows = zip(*(pictures for _, pictures in columns), strict=True)
    pictures = torch.stack([picture for row in rows for picture in row])
    large = functional.interpolate(pictures, _SIDE, mode="nearest-exact")
    grid = make_grid(large, nrow=len(columns), padding=_GAP, pad_value=1.0)
    sheet = Image.new("RGB", (grid.shape[2], _HEADER + grid.shape[1]), "white")
    sheet.paste(to_pil_image((grid * 255).round().byte().cpu()), (0, _HEADER))
    draw = ImageDraw.Draw(sheet)
    for place, (title, _) in enumerate(columns):
        draw.text((_GAP + place * (_SIDE + _GAP), 4), title, fill="black")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
