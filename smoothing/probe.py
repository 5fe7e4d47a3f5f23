"""A check, made once when a classifier is loaded, that an image's logits depend on that image alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from smoothing.errors import BatchDependentClassifier, NonFiniteLogits, require
from smoothing.sampling import BaseClassifier, classify

TOLERANCE = 0.05
"""Largest difference taken for rounding, as a fraction of the spread of the logits."""

_SAME_SHAPE = 0.02 * TOLERANCE  # equal shapes run the same kernels in the same order
_BATCH_SIZE = 16


def check_batch_invariance(
    base_classifier: BaseClassifier,
    shape: Sequence[int],
    *,
    num_classes: int | None = None,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> None:
    """Refuse a classifier whose answer about one image depends on the rest of the batch, or on chance.

    The theorems are about one fixed function of one image. They bound its probabilities from votes that are
    independent draws; Clopper–Pearson counts them as coin flips. Batch normalisation in training mode makes
    the vote of each noisy copy depend on all the copies beside it: the votes are then dependent, the
    function changes with the batch size, and it is another function again at a perturbed image. Such votes
    certify nothing, and nothing in the counts would show it. Active dropout is a random function, which is
    no fault of its own, but it is not the function whose accuracy anyone measured, and it cannot be
    repeated from a seed.

    A few noisy images are classified three ways, and their logits compared:

    - twice in the same batch: finds dropout and other chance;
    - at the same places of a batch with very different neighbours: finds statistics taken over the batch,
      among them activations quantised by the range found in the batch;
    - each alone: finds what depends on the size of the batch.

    Summation order may depend on the shape of the batch, and in bfloat16 that alone can move logits by a per
    cent of their spread, so differences are measured against the spread (the mean over images of largest
    minus smallest logit). An image alone may differ by ``TOLERANCE`` of it. Batches of equal shape run the
    same kernels in the same order and should agree to the last bit; they may differ by a fiftieth of that.

    Args:
        base_classifier: f, ``(b, c, h, w)`` to logits ``(b, num_classes)``. A classifier in training mode may
            change its own state when it is asked; load it afresh after a refusal.
        shape: Of one image, ``(c, h, w)``.
        num_classes: k, to be checked as well. Default: any from 2.
        generator: Source of the images; any device.
        device: Where f takes its input.

    Raises:
        BatchDependentClassifier: Some logits differ by more than rounding.
        InvalidLogits: f answers in another shape or type, or not finitely.
        InvalidParameter: ``shape`` has not three axes.

    >>> from smoothing import generator_for
    >>> generator = generator_for(1, "probe")
    >>> check_batch_invariance(lambda x: x.flatten(1), (1, 1, 3), generator=generator)
    >>> def centred(images: Tensor) -> Tensor:
    ...     return images.flatten(1) - images.flatten(1).mean(dim=0)
    >>> check_batch_invariance(centred, (1, 1, 3), generator=generator)
    Traceback (most recent call last):
    smoothing.errors.BatchDependentClassifier: ...
    """
    require(len(shape) == 3, "shape", "be (c, h, w)", tuple(shape))
    batch, other_batch, places = _probes(shape, generator)
    images, others = batch.to(device), other_batch.to(device)
    with torch.inference_mode():
        logits = _ask(base_classifier, images, num_classes)
        spread = float((logits.amax(dim=1) - logits.amin(dim=1)).mean())

        again = _ask(base_classifier, images, num_classes)
        _compare(again, logits, spread, _SAME_SHAPE, "when it is asked again")

        elsewhere = _ask(base_classifier, others, num_classes)
        _compare(elsewhere[places], logits[places], spread, _SAME_SHAPE, "beside other images")

        for place in places:
            alone = _ask(base_classifier, images[place : place + 1], num_classes)
            _compare(alone, logits[place : place + 1], spread, TOLERANCE, "in a batch of one")


def _probes(shape: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor, list[int]]:
    """Two batches ``(b, c, h, w)``: the same images at ``places``, very different ones elsewhere."""
    size = (_BATCH_SIZE, *shape)
    device = generator.device
    batch = torch.rand(size, generator=generator, device=device)
    batch += 0.25 * torch.randn(size, generator=generator, device=device)
    others = 1.0 + 2.0 * torch.randn(size, generator=generator, device=device)
    places = [0, _BATCH_SIZE // 2]
    others[places] = batch[places]
    return batch, others, places


def _ask(base_classifier: BaseClassifier, images: Tensor, num_classes: int | None) -> Tensor:
    """Logits ``(b, k)`` in float64, copied: the classifier may overwrite its input or its output buffer."""
    logits = classify(base_classifier, images.clone(), num_classes).to(torch.float64, copy=True)
    if not bool(torch.isfinite(logits).all()):
        raise NonFiniteLogits("'base_classifier' must give finite logits, got NaN or infinity")
    return logits


def _compare(logits: Tensor, expected: Tensor, spread: float, tolerance: float, when: str) -> None:
    difference = float((logits - expected).abs().max())
    if difference > tolerance * spread:
        raise BatchDependentClassifier(
            f"'base_classifier' must give an image the same logits {when}, "
            f"got a difference of {difference:.3g} where the logits' spread is {spread:.3g}; "
            f"are batch normalisation and dropout in eval mode?"
        )
