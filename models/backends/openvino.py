"""OpenVINO on x86 CPUs, in float32, bfloat16 or int8; it needs no C++ compiler."""

import importlib.util
import math
import platform
import time
import warnings
from collections import deque
from itertools import cycle
from typing import Any

import torch
from torch import Tensor, nn

from models.backends import quantize
from models.backends.base import BuildRequest, Logits, threads
from models.backends.calibrate import LONGEST_BATCH_SECONDS
from models.backends.precision import native_bfloat16, native_int8
from models.backends.silent import import_openvino
from models.errors import BackendError

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""OpenVINO's name of each precision. Layers that int8 does not quantise stay in float32."""

LARGEST_PART = 64
"""Images in a part, which one thread computes. Larger parts gain little; one image costs as much."""

LARGEST_PARTS = 4
"""Parts per thread in a batch. Between batches, threads wait for each other and for new noise."""

TRIAL_PART = 4
"""Images in a part while the batch size is measured."""


class OpenVINOBackend:
    """Compiles the network for this CPU. An image's logits are the same in any batch, bit for bit."""

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first; empty if it does not run there."""
        if device.type != "cpu" or not _installed():
            return ()
        floats: tuple[str, ...] = ("float32", "bfloat16") if emulated else ("float32",)
        if native_bfloat16("cpu"):
            floats = ("bfloat16", "float32")
        if quantize.installed() and native_int8():
            return ("int8", *floats)
        return (*floats, "int8") if quantize.installed() and emulated else floats

    def build(self, request: BuildRequest) -> Logits:
        """Return a callable, without changing the module.

        Raises:
            BackendError: if OpenVINO cannot convert the network.
        """
        import_openvino()  # first, before another import brings its telemetry
        try:
            graph = _convert(request.module, request.input_shape)
            if request.calibration is not None:  # int8
                graph = quantize.quantize(graph, request.calibration)
            return _Compiled(graph, request)
        except Exception as error:  # the converter raises many kinds of errors for unsupported code
            raise BackendError(
                f"'module' must be supported by OpenVINO: {type(error).__name__}: {error}"
            ) from error


class _Compiled:
    """The network, compiled for parts of one fixed size; one thread computes one part.

    On small networks, the fixed size is 10 to 20 % faster, and threads that do not synchronise after every
    layer another 5 to 15 %. In int8 a part of another size would round differently, so the last part is
    padded.
    """

    def __init__(self, graph: Any, request: BuildRequest) -> None:
        self._graph = graph
        self._dtype = request.dtype
        self._input_shape = request.input_shape
        self._threads = threads()
        self._images: Tensor | None = None
        self.batch_size = request.batch_size or self._quick_batch_size()
        self._compile(min(LARGEST_PART, math.ceil(self.batch_size / self._threads)))

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` to float32 logits ``(b, k)``."""
        from openvino import Tensor as View

        # Requests read the images in place, so these must outlive the requests of an interrupted call.
        self._images = self._padded(images.detach().contiguous())
        running: deque[Any] = deque()
        logits = []
        try:
            parts = torch.split(self._images, self._part)
            for part, request in zip(parts, cycle(self._requests), strict=False):
                if len(running) == len(self._requests):
                    logits.append(_logits(running.popleft()))
                request.set_input_tensor(View(part.numpy(), shared_memory=True))
                request.start_async()
                running.append(request)
            while running:
                logits.append(_logits(running.popleft()))
        finally:
            for request in running:  # after an interrupt, requests may still be running
                request.wait()
        return torch.cat(logits)[: len(images)]

    def _padded(self, images: Tensor) -> Tensor:
        missing = -len(images) % self._part
        if missing == 0:
            return images
        return torch.cat([images, images.new_zeros((missing, *self._input_shape))])

    def _compile(self, part: int) -> None:
        """Compile for a part size. One request more than threads, so that a free thread has a next part."""
        import openvino
        from openvino import properties
        from openvino.properties import hint

        self._part = part
        self._graph.reshape([part, *self._input_shape])
        settings = {
            hint.inference_precision: getattr(openvino.Type, PRECISIONS[self._dtype]),
            properties.inference_num_threads: self._threads,
            properties.streams.num: self._threads,
            hint.enable_cpu_pinning: False,  # pinned, two workers could end up on the same cores
        }
        model = openvino.Core().compile_model(self._graph, "CPU", settings)
        self._requests = [model.create_infer_request() for _ in range(self._threads + 1)]

    def _quick_batch_size(self) -> int:
        """Return the largest batch that takes less than `LONGEST_BATCH_SECONDS`."""
        self._compile(TRIAL_PART)
        images = torch.full((self._threads * TRIAL_PART, *self._input_shape), 0.5)
        self(images)
        started = time.perf_counter()
        self(images)
        seconds = (time.perf_counter() - started) / TRIAL_PART
        images_a_thread = LARGEST_PART * LARGEST_PARTS
        while images_a_thread > 1 and images_a_thread * seconds > LONGEST_BATCH_SECONDS:
            images_a_thread //= 2
        return images_a_thread * self._threads


def _logits(request: Any) -> Tensor:
    """Wait for a request and return a copy of its output, which the next part overwrites."""
    request.wait()
    return torch.from_numpy(request.get_output_tensor().data).clone()


def _convert(module: nn.Module, input_shape: tuple[int, int, int]) -> Any:
    """Return the network as a graph. OpenVINO's front end is used, since its converter sends telemetry."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the comparison of logits finds what tracing warns of
        decoder = TorchScriptPythonDecoder(module, example_input=torch.zeros(2, *input_shape))
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))


def _installed() -> bool:
    known = platform.machine().lower() in ("x86_64", "amd64")
    return known and importlib.util.find_spec("openvino") is not None
