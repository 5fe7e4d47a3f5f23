"""Compiled PyTorch: fused kernels, on GPUs recorded as one CUDA graph of one batch size."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.backends.base import Logits
from models.backends.calibrate import fastest_batch_size
from models.backends.eager import EagerBackend, in_precision
from models.backends.precision import float32_means_float32, native_bfloat16
from models.errors import BackendError

RECOMPILATIONS = 256
"""PyTorch gives up compiling the same code after a few times; each model and variant here counts as one."""


class CompiledBackend:
    """Compiles the network once, for one batch size: other sizes are cut into it or padded up to it.

    On a GPU the compiled network is recorded as a CUDA graph, which replays with one launch and from any
    thread. On a CPU it needs a C++ compiler, takes long to build, and is there for who asks for it by name.

    Float32 is float32: TF32 is off while it is compiled, recorded and run, whatever the process has set.
    """

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first."""
        if device.type == "cuda":
            return EagerBackend().dtypes(device, emulated=emulated)
        if not emulated or not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
            return ()
        return ("bfloat16", "float32") if native_bfloat16("cpu") else ("float32", "bfloat16")

    def build(
        self,
        module: nn.Module,
        *,
        device: torch.device,
        dtype: str,
        input_shape: tuple[int, int, int],
        batch_size: int | None = None,
        calibration: Tensor | None = None,
    ) -> Logits:
        """Return a callable that works on a copy of the module.

        Raises:
            BackendError: if it cannot be compiled or recorded.
        """
        del calibration
        try:
            if batch_size is None:  # layers one by one are about as fast at each size as compiled ones
                plain = EagerBackend().build(module, device=device, dtype=dtype, input_shape=input_shape)
                batch_size, _ = fastest_batch_size(plain, input_shape, device, "eager")
            return _OneSize(in_precision(module, device, dtype), device, (batch_size, *input_shape))
        except Exception as error:  # the compiler raises many kinds for what it does not know
            raise BackendError(
                f"'module' must be one that PyTorch can compile: {type(error).__name__}: {error}"
            ) from error


class _OneSize:
    """Runs the compiled network on its own input, so that nothing about the caller's can recompile it."""

    @torch.inference_mode()
    def __init__(self, forward: Logits, device: torch.device, shape: tuple[int, ...]) -> None:
        self.batch_size = shape[0]
        self._device = device
        self._images = torch.full(shape, 0.5, device=device)
        self._forward: Logits = torch.compile(forward, dynamic=False)
        self._graph: torch.cuda.CUDAGraph | None = None
        with warnings.catch_warnings(), float32_means_float32(device), _compiling():
            warnings.simplefilter("ignore")  # of what the comparison of logits would find
            self._logits = self._forward(self._images)
            if device.type == "cuda":
                self._record()

    def _record(self) -> None:
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):  # libraries choose their algorithms and workspaces before recording
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
        """What is left in the buffer from earlier calls pads a smaller batch; each row is about itself."""
        self._images[: len(images)].copy_(images)
        if self._graph is not None:
            with torch.cuda.device(self._device):
                self._graph.replay()
        else:
            with _compiling():
                self._logits = self._forward(self._images)
        return self._logits[: len(images)].clone()


@contextmanager
def _compiling() -> Iterator[None]:
    """Compile, or fail: PyTorch would go on uncompiled in silence."""
    settings = {"recompile_limit": RECOMPILATIONS, "fail_on_recompile_limit_hit": True}
    with torch._dynamo.config.patch(settings):
        yield
