"""Votes: how often the base classifier answers each class under noise."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from smoothing.bounds import Counts
from smoothing.copies import NoisyCopies, in_pixel_units
from smoothing.errors import BatchDependentClassifier, InvalidLogits, NonFiniteLogits, require, require_count

BaseClassifier = Callable[[Tensor], Tensor]
"""f: images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``, each row about its own image only."""


def count_classes(
    base_classifier: BaseClassifier,
    copies: NoisyCopies,
    n: int,
    *,
    first: int = 0,
    num_classes: int,
    batch_size: int,
    on_batch: Callable[[int], None] | None = None,
    on_smaller_batch: Callable[[int], None] | None = None,
) -> Counts:
    """Count the classes that ``n`` noisy copies of an image are given: SampleUnderNoise.

    Copies are made on the image's device in one buffer and counts stay on the device until the end, so
    without ``on_batch`` the device is never waited for in between. Exact copies are a function of their
    numbers, so the batch size has no part in the votes. Copies in floating point are drawn in turn: their
    votes are a function of batch size, too, and of where memory ran out, if it did.

    A batch that the device has no memory for is made again at half the size, and so are all after it. That
    is sound: none of its votes was counted or seen, and whether memory suffices depends on the size of a
    batch and not on its noise, so the votes that are counted are independent draws as before.

    Args:
        base_classifier: ``(b, c, h, w)`` to logits ``(b, num_classes)``. The batch is overwritten after the
            call.
        copies: Of one image, from one random stream.
        n: Votes to count, at least 1.
        first: Number of the first copy.
        num_classes: k, at least 2.
        batch_size: Most images in one call of the base classifier.
        on_batch: Called with the number of votes of each batch once they are counted. It may raise to abandon
            the work.
        on_smaller_batch: Called with the new size when a batch was too large for the device's memory, so that
            the caller can start with it next time. It may raise to abandon the work.

    Returns:
        Votes per class ``(num_classes,)``, int64, summing to ``n``.

    Raises:
        InvalidParameter: An argument is out of range.
        InvalidLogits: The base classifier answers in another shape or type.
        NonFiniteLogits: Some logits are NaN or infinite; argmax would turn them into votes.
        torch.OutOfMemoryError: There is not even memory for one image.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        §3.2.

    >>> from smoothing import Gaussian, noisy_copies
    >>> def brightest(images: Tensor) -> Tensor:
    ...     return images.flatten(1)
    >>> image = torch.tensor([[[230, 25, 25]]], dtype=torch.uint8)
    >>> copies = noisy_copies(image, Gaussian(0.1), 1, "estimation")
    >>> count_classes(brightest, copies, 100, num_classes=3, batch_size=50).tolist()
    [100, 0, 0]
    """
    require_count(n, "n")
    require_count(num_classes, "num_classes", least=2)
    require_count(batch_size, "batch_size")
    device, left = copies.device, n
    nothing = buffer = torch.empty((0, *copies.shape), device=device, dtype=copies.dtype)
    with torch.inference_mode():
        tally = torch.zeros(num_classes + 1, device=device, dtype=torch.int64)  # last slot: no valid vote
        while left > 0:
            size = min(batch_size, left)
            try:
                if len(buffer) < size:
                    buffer = torch.empty((size, *copies.shape), device=device, dtype=copies.dtype)
                noisy = copies.fill_(buffer[:size], first + n - left)
                tally.add_(_tally(classify(base_classifier, noisy, num_classes)))
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                buffer = noisy = nothing  # what they held is freed before half of it is asked for
                batch_size = size // 2
                if on_smaller_batch is not None:
                    on_smaller_batch(batch_size)
                continue
            left -= size
            if on_batch is not None:
                if device.type == "cuda":
                    torch.cuda.synchronize(device)  # so that reported progress is real
                on_batch(size)
        votes: list[int] = tally.tolist()
    if votes[-1] > 0:
        raise NonFiniteLogits(
            f"'base_classifier' must give finite logits, got {votes[-1]} of {n} rows that are not"
        )
    return np.array(votes[:-1], dtype=np.int64)


def count_of_classes(base_classifier: BaseClassifier, image: Tensor) -> int:
    """k: the classifier's own ``num_classes`` where it has one, else the length of its logits for this image.

    Args:
        base_classifier: f.
        image: ``(c, h, w)``.

    Raises:
        InvalidLogits: The classifier answers in another shape or type than ``(1, k)`` with k >= 2.

    >>> count_of_classes(lambda images: images.flatten(1), torch.zeros(1, 2, 3))
    6
    """
    stated = getattr(base_classifier, "num_classes", None)
    if isinstance(stated, int) and stated >= 2:
        return stated
    with torch.inference_mode():
        return classify(base_classifier, in_pixel_units(image).unsqueeze(0).clone()).shape[1]


def classify(base_classifier: BaseClassifier, images: Tensor, num_classes: int | None = None) -> Tensor:
    """Logits ``(b, k)`` of a batch ``(b, c, h, w)``, checked for shape and type; k >= 2 unless it is given.

    Raises:
        UnusableClassifier: The base classifier is in training mode, or answers in another shape or type.
    """
    require_classifier(base_classifier)
    try:
        logits = base_classifier(images)
    except Exception as error:
        error.add_note(f"'base_classifier' raised it, given images of shape {tuple(images.shape)}")
        raise
    if not isinstance(logits, Tensor):
        raise InvalidLogits(f"'base_classifier' must give a torch.Tensor, got {type(logits).__name__}")
    shape = tuple(logits.shape)
    right = len(shape) == 2 and shape[0] == len(images)
    right = right and (shape[1] >= 2 if num_classes is None else shape[1] == num_classes)
    if not right or not logits.is_floating_point():
        expected = f"({len(images)}, k), k >= 2" if num_classes is None else (len(images), num_classes)
        raise InvalidLogits(
            f"'base_classifier' must give floating logits of shape {expected}, "
            f"got {logits.dtype} of shape {shape}"
        )
    return logits


def require_classifier(base_classifier: BaseClassifier) -> None:
    """Refuse what cannot be called, and a module of which any part is in training mode."""
    require(callable(base_classifier), "base_classifier", "be callable", base_classifier)
    if isinstance(base_classifier, nn.Module) and any(part.training for part in base_classifier.modules()):
        rule = "'base_classifier' must be in evaluation mode, got training mode: call .eval()"
        raise BatchDependentClassifier(rule)


def _tally(logits: Tensor) -> Tensor:
    """Rows per argmax ``(k + 1,)``, those that are not finite in the last place."""
    votes = torch.where(torch.isfinite(logits).all(dim=1), logits.argmax(dim=1), logits.shape[1])
    return torch.zeros(logits.shape[1] + 1, device=votes.device, dtype=torch.int64).index_add_(
        0, votes, torch.ones_like(votes)
    )
