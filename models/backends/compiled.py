"""Compiled PyTorch: fused kernels for one batch size, recorded as a CUDA graph on GPUs."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from models.backends.base import BuildRequest, Logits
from models.backends.calibrate import fastest_batch_size
from models.backends.eager import EagerBackend, in_precision
from models.backends.precision import float32_means_float32, native_bfloat16
from models.errors import BackendError

RECOMPILATIONS = 256
"""Limit of compilations of the same code. PyTorch's default is low, and each model and variant counts."""


class CompiledBackend:
    """Compiles the network once, for one batch size; other batches are split or padded to that size.

    On a GPU the compiled network is recorded as a CUDA graph, which any thread replays with one launch. On a
    CPU it needs a C++ compiler and takes long to build, so it is used only by explicit request.

    Float32 is real float32: TF32 is off during compilation, recording and execution, for any setting of the
    process.
    """

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first."""
        if device.type == "cuda":
            return EagerBackend().dtypes(device, emulated=emulated)
        if not emulated or not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
            return ()
        return ("bfloat16", "float32") if native_bfloat16("cpu") else ("float32", "bfloat16")

    def build(self, request: BuildRequest) -> Logits:
        """Return a callable that works on a copy of the module.

        Raises:
            BackendError: if the module cannot be compiled or recorded.
        """
        batch_size = request.batch_size
        try:
            if batch_size is None:  # the eager module is a good proxy, and needs no compilation per size
                batch_size, _ = fastest_batch_size(EagerBackend().build(request), request, "eager")
            return _OneSize(in_precision(request), request.device, (batch_size, *request.input_shape))
        except Exception as error:  # the compiler raises many kinds of errors for unsupported code
            raise BackendError(
                f"'module' must be supported by the compiler of PyTorch: {type(error).__name__}: {error}"
            ) from error


class _OneSize:
    """Runs the compiled network on its own buffer, so that no tensor of a caller can recompile it."""

    @torch.inference_mode()
    def __init__(self, forward: Logits, device: torch.device, shape: tuple[int, ...]) -> None:
        self.batch_size = shape[0]
        self._device = device
        self._images = torch.full(shape, 0.5, device=device)
        self._forward: Logits = torch.compile(forward, dynamic=False)
        self._graph: torch.cuda.CUDAGraph | None = None
        with warnings.catch_warnings(), float32_means_float32(device), _compiling():
            warnings.simplefilter("ignore")  # the comparison of logits finds what they warn of
            self._logits = self._forward(self._images)
            if device.type == "cuda":
                self._record()

    def _record(self) -> None:
        # CUDA graphs must be warmed up on a side stream, and replay on fixed addresses: those of `_images`.
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):  # let libraries choose algorithms and workspaces before recording
                    self._forward(self._images)
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._logits = self._forward(self._images)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` to float32 logits ``(b, k)``, for any b."""
        return torch.cat([self._run(part) for part in torch.split(images, self.batch_size)])

    def _run(self, images: Tensor) -> Tensor:
        """Run one batch. Old rows of the buffer pad a smaller one; no row depends on another."""
        self._images[: len(images)].copy_(images)
        if self._graph is not None:
            with torch.cuda.device(self._device):
                self._graph.replay()
        else:
            with _compiling():
                self._logits = self._forward(self._images)
        return self._logits[: len(images)].clone()  # the next call overwrites the buffer


@contextmanager
def _compiling() -> Iterator[None]:
    """Raise if compilation fails; by default PyTorch would silently continue without it."""
    settings = {"recompile_limit": RECOMPILATIONS, "fail_on_recompile_limit_hit": True}
    with torch._dynamo.config.patch(settings):
        yield
