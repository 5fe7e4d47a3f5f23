"""OpenVINO on x86 CPUs: the whole network compiled, in float32, bfloat16 or int8; no compiler is needed."""

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
from models.backends.base import Logits, threads
from models.backends.calibrate import LONGEST_BATCH_SECONDS
from models.backends.precision import native_bfloat16, native_int8
from models.backends.silent import import_openvino
from models.errors import BackendError

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What is not quantised stays in float32: in bfloat16 it would gain nothing."""

LARGEST_PART = 64
"""Images a thread computes at once; more gain little, and even one image takes as long as a whole part."""

LARGEST_PARTS = 4
"""Parts a thread computes in a batch: between batches the threads wait for one another and for new noise."""

TRIAL_PART = 4


class OpenVINOBackend:
    """Compiles the network for this CPU; an image's logits are the same, bit for bit, in any batch."""

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first; none where it does not run."""
        if device.type != "cpu" or not _installed():
            return ()
        floats: tuple[str, ...] = ("float32", "bfloat16") if emulated else ("float32",)
        if native_bfloat16("cpu"):
            floats = ("bfloat16", "float32")
        if quantize.installed() and native_int8():
            return ("int8", *floats)
        return (*floats, "int8") if quantize.installed() and emulated else floats

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
        """Return a callable that leaves the module alone.

        Raises:
            BackendError: if OpenVINO cannot express the network, or int8 lacks images to be fitted to.
        """
        del device
        if dtype == "int8" and calibration is None:
            raise BackendError("'calibration' must be noisy images when 'dtype' is int8, got None")
        import_openvino()  # before anything else imports it with its telemetry
        try:
            graph = _convert(module, input_shape)
            if calibration is not None and dtype == "int8":
                graph = quantize.quantize(graph, calibration)
            return _Compiled(graph, dtype, input_shape, batch_size)
        except Exception as error:  # the converter raises many kinds for what it does not know
            raise BackendError(
                f"'module' must be expressible in OpenVINO: {type(error).__name__}: {error}"
            ) from error


class _Compiled:
    """The network for parts of one fixed size, each computed by one thread.

    On small networks a fixed size is worth 10 to 20 %, and threads that need not meet after every layer
    another 5 to 15 %. In int8 a part of another size is rounded otherwise, so what is left over is padded.
    """

    def __init__(
        self, graph: Any, dtype: str, input_shape: tuple[int, int, int], batch_size: int | None
    ) -> None:
        self._graph = graph
        self._dtype = dtype
        self._input_shape = input_shape
        self._threads = threads()
        self._images: Tensor | None = None
        self.batch_size = batch_size or self._quick_batch_size()
        self._compile(min(LARGEST_PART, math.ceil(self.batch_size / self._threads)))

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` to float32 logits ``(b, k)``."""
        from openvino import Tensor as View

        # Requests read the images where they lie: those of an interrupted call have to outlive its requests.
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
            for request in running:
                request.wait()
        return torch.cat(logits)[: len(images)]

    def _padded(self, images: Tensor) -> Tensor:
        missing = -len(images) % self._part
        if missing == 0:
            return images
        return torch.cat([images, images.new_zeros((missing, *self._input_shape))])

    def _compile(self, part: int) -> None:
        """One request more than threads: a thread that is done finds the next part waiting."""
        import openvino
        from openvino import properties
        from openvino.properties import hint

        self._part = part
        self._graph.reshape([part, *self._input_shape])
        settings = {
            hint.inference_precision: getattr(openvino.Type, PRECISIONS[self._dtype]),
            properties.inference_num_threads: self._threads,
            properties.streams.num: self._threads,
            hint.enable_cpu_pinning: False,  # or two workers may be pinned to the same cores
        }
        model = openvino.Core().compile_model(self._graph, "CPU", settings)
        self._requests = [model.create_infer_request() for _ in range(self._threads + 1)]

    def _quick_batch_size(self) -> int:
        """Return the largest batch, so many images a thread, in less than `LONGEST_BATCH_SECONDS`."""
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
    """Wait for a request and return a copy of what it gave, since the next part overwrites it."""
    request.wait()
    return torch.from_numpy(request.get_output_tensor().data).clone()


def _convert(module: nn.Module, input_shape: tuple[int, int, int]) -> Any:
    """Return the network as a graph, by OpenVINO's front end: its converter reports its use over the net."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns of what the comparison of logits below would find
        decoder = TorchScriptPythonDecoder(module, example_input=torch.zeros(2, *input_shape))
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))


def _installed() -> bool:
    known = platform.machine().lower() in ("x86_64", "amd64")
    return known and importlib.util.find_spec("openvino") is not None
