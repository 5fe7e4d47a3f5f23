"""Measures the fastest number of images per call."""

import time

import torch

from models.backends.base import BuildRequest, Logits, alone

LONGEST_BATCH_SECONDS = 0.25
"""A cancelled job stops between batches, so a batch must not take longer."""

FIRST_BATCH = 16
GROWTH = 4  # from one size to the next
WINDOW_SECONDS = 0.1  # of each measurement
LEAST_GAIN = 1.02  # a larger size must be faster by this factor
CLEAR_LOSS = 0.75  # a size this much slower than the best ends the search
LARGEST_BATCH = {"cpu": 1024, "cuda": 16384}


def fastest_batch_size(call: Logits, request: BuildRequest, backend: str) -> tuple[int, float]:
    """Return the fastest batch size and its votes per second; the smallest size within 2 % of the fastest.

    Only batches under a quarter of a second count. Sizes grow until one is clearly slower; one that is just
    not faster does not end the search, because other work on the machine makes single measurements noisy. A
    callable with a fixed size is measured at that size.
    """
    largest = LARGEST_BATCH[request.device.type]
    size: int | None = getattr(call, "batch_size", None)
    if size is not None:
        return size, votes_per_second(call, request, size, backend)
    size = FIRST_BATCH
    rates = {size: votes_per_second(call, request, size, backend)}
    while size > 1 and size > LONGEST_BATCH_SECONDS * rates[size]:
        size //= 2
        rates = {size: votes_per_second(call, request, size, backend)}
    while GROWTH * size <= largest and GROWTH * size < LONGEST_BATCH_SECONDS * rates[size]:
        size *= GROWTH
        try:
            rates[size] = votes_per_second(call, request, size, backend)
        except torch.OutOfMemoryError:
            break
        if rates[size] < CLEAR_LOSS * max(rates.values()):
            break
    best = min(size for size, rate in rates.items() if LEAST_GAIN * rate >= max(rates.values()))
    return best, rates[best]


@torch.inference_mode()
def votes_per_second(call: Logits, request: BuildRequest, batch_size: int, backend: str) -> float:
    """Measure votes per second (noise, logits, argmax) on grey images, after a warm-up."""
    generator = torch.Generator(request.device).manual_seed(0)
    images = torch.empty((batch_size, *request.input_shape), device=request.device)

    def batch() -> None:
        images.normal_(0.5, 0.25, generator=generator)
        call(images).argmax(dim=1).sum().item()  # item() waits for the device

    with alone(backend):
        for _ in range(2):  # the second call may still compile
            batch()
        batches, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < WINDOW_SECONDS:
            batch()
            batches += 1
    return batches * batch_size / elapsed
