"""Measuring how many images a call should take."""

import time

import torch

from models.backends.base import Logits

LONGEST_BATCH_SECONDS = 0.25
"""Work is abandoned between batches, so a batch must not take long."""

WINDOW_SECONDS = 0.1
LEAST_GAIN = 1.05
CLEAR_LOSS = 0.75
LARGEST_BATCH = {"cpu": 4096, "cuda": 16384}


def calibrate_batch_size(call: Logits, input_shape: tuple[int, int, int], device: torch.device) -> int:
    """Return the smallest batch within 5 % of the most votes a second, of those under a quarter second.

    Sizes double until they clearly lose. One that merely gains nothing does not end the search, because other
    work on the machine makes single measurements noisy.
    """
    rates = {1: votes_per_second(call, input_shape, device, 1)}
    size = 1
    while 2 * size <= LARGEST_BATCH[device.type] and 2 * size / rates[size] < LONGEST_BATCH_SECONDS:
        size *= 2
        try:
            rates[size] = votes_per_second(call, input_shape, device, size)
        except torch.OutOfMemoryError:
            break
        if rates[size] < CLEAR_LOSS * max(rates.values()):
            break
    return min(size for size, rate in rates.items() if LEAST_GAIN * rate >= max(rates.values()))


@torch.inference_mode()
def votes_per_second(
    call: Logits, input_shape: tuple[int, int, int], device: torch.device, batch_size: int
) -> float:
    """Measure votes (noise, logits, argmax) on grey images, for `WINDOW_SECONDS` after a warm-up."""
    generator = torch.Generator(device).manual_seed(0)
    images = torch.empty((batch_size, *input_shape), device=device)

    def batch() -> None:
        images.normal_(0.5, 0.25, generator=generator)
        call(images).argmax(dim=1).sum().item()  # the item waits for the device

    for _ in range(2):  # the second may still compile
        batch()
    batches, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < WINDOW_SECONDS:
        batch()
        batches += 1
    return batches * batch_size / elapsed
