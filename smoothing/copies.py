"""Noisy copies of one image, from one random stream: exact of an image of bytes, else in floating point."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from smoothing.errors import require
from smoothing.lattice import NoiseStream
from smoothing.lattice.device import DeviceNoiseStream
from smoothing.noises.base import Noise, require_noise
from smoothing.randomness import generator_for


class NoisyCopies(ABC):
    """The copies of one image, numbered from 0.

    Attributes:
        shape: Of a copy, ``(c, h, w)``.
        device: Where they are made.
        dtype: What they are made of: pixels in [0, 1], and beyond by the noise.
        exact: Whether a copy is a function of its number alone, and its noise of a known law.
    """

    shape: torch.Size
    device: torch.device
    dtype: torch.dtype
    exact: bool

    @abstractmethod
    def fill_(self, out: Tensor, first: int) -> Tensor:
        """Overwrites ``out`` ``(b, c, h, w)`` with the copies from number ``first`` on, and returns it."""


def require_image(image: Tensor, name: str = "image", shape: str = "(c, h, w)") -> None:
    """Refuse what is no image, or no batch of this shape, of bytes or in full precision.

    Raises:
        InvalidParameter: Wrong shape or type. Half precision would coarsen the noise itself; a classifier
            that computes in half precision converts its own input.
    """
    require(isinstance(image, Tensor), name, "be a torch.Tensor", type(image))
    right = image.ndim == len(shape.split(",")) and image.numel() > 0
    require(right, name, f"have shape {shape}", tuple(image.shape))
    kinds = (torch.uint8, torch.float32, torch.float64)
    require(image.dtype in kinds, name, "be uint8, float32 or float64", image.dtype)


def require_pixel_units(image: Tensor, name: str = "image") -> None:
    """Refuse pixels that are not in [0, 1]: radii would be in other units than the caller thinks.

    Raises:
        InvalidParameter: A value lies outside [0, 1] or is NaN.
    """
    low, high = (0.0, 1.0) if is_exact(image) else (image.min().item(), image.max().item())
    require(low >= 0.0 and high <= 1.0, name, "lie in [0, 1]", (low, high))


def is_exact(image: Tensor) -> bool:
    """Whether an image's noise is exact: it is, where the image is bytes."""
    return image.dtype is torch.uint8


def in_pixel_units(images: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]; floating-point images as they are.

    >>> in_pixel_units(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    return images.to(torch.float32) / 255.0 if is_exact(images) else images


def noisy_copies(image: Tensor, noise: Noise, seed: int, stream: str) -> NoisyCopies:
    """Opens a stream of a seed for the copies of an image.

    Args:
        image: ``(c, h, w)``: uint8 for exact noise, which ``noise`` must be of (``noise.on_lattice()``);
            float32 or float64, pixel units, for noise in floating point.
        noise: What is added; nothing is clipped.
        seed: 128 bits.
        stream: Its use: ``"selection"``, ``"estimation"``, …

    Raises:
        InvalidParameter: The image has another shape or type, or the seed or the stream's name is none.
    """
    require_image(image)
    require_noise(noise)
    if not is_exact(image):
        return FloatCopies(image, noise, seed, stream)
    kind = ExactCopies if image.device.type == "cpu" else DeviceCopies
    return kind(image, noise, seed, stream)


class FloatCopies(NoisyCopies):
    """Image plus noise in floating point, drawn in turn: another size of batches gives other copies."""

    exact = False

    def __init__(self, image: Tensor, noise: Noise, seed: int, stream: str) -> None:
        self.shape, self.device, self.dtype = image.shape, image.device, image.dtype
        self._image, self._noise = image, noise
        self._generator = generator_for(seed, stream, device=image.device)

    def fill_(self, out: Tensor, first: int) -> Tensor:  # noqa: ARG002 (in turn)
        """Overwrites ``out`` with the next copies."""
        return self._noise.fill_(out, generator=self._generator).add_(self._image)


class ExactCopies(NoisyCopies):
    """Bytes plus whole steps of noise, divided by the steps from black to white."""

    exact = True
    dtype = torch.float32

    def __init__(self, image: Tensor, noise: Noise, seed: int, stream: str) -> None:
        law = noise.law()
        self.shape, self.device = image.shape, image.device
        self._stream = NoiseStream(law, seed, stream, image.numel())
        self._image = image.numpy().reshape(-1).astype(self._stream.kind) * (law.steps // 255)
        self._steps = np.float32(law.steps)
        self._sum = np.empty((0, image.numel()), self._stream.kind)

    def fill_(self, out: Tensor, first: int) -> Tensor:
        """Overwrites ``out`` with the copies from number ``first`` on."""
        copies = out.reshape(len(out), -1).numpy()
        for noise in self._stream.noise(first, len(out)):
            if len(self._sum) < len(noise):
                self._sum = np.empty_like(noise)
            total = np.add(noise, self._image, out=self._sum[: len(noise)])
            np.divide(total, self._steps, out=copies[: len(noise)])
            copies = copies[len(noise) :]
        return out


class DeviceCopies(NoisyCopies):
    """The same on a GPU: the same noise, and pixels as the device divides."""

    exact = True
    dtype = torch.float32

    def __init__(self, image: Tensor, noise: Noise, seed: int, stream: str) -> None:
        law = noise.law()
        self.shape, self.device = image.shape, image.device
        self._stream = DeviceNoiseStream(law, seed, stream, image.numel(), image.device)
        self._image = image.reshape(-1).to(torch.int32) * (law.steps // 255)
        self._steps = torch.tensor(float(law.steps), device=image.device)

    def fill_(self, out: Tensor, first: int) -> Tensor:
        """Overwrites ``out`` with the copies from number ``first`` on."""
        total = self._stream.noise(first, len(out)) + self._image
        return torch.div(total, self._steps, out=out.reshape(total.shape)).reshape(out.shape)
