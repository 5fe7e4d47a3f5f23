"""OpenVINO on x86 CPUs: the whole network compiled, in float32, bfloat16 or int8; no compiler is needed."""

import importlib.util
import platform
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from models.backends import quantize
from models.backends.base import BackendError, Logits, threads
from models.backends.precision import native_bfloat16, native_int8
from models.backends.silent import import_openvino

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What is not quantised stays in float32: in bfloat16 it would gain nothing."""


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
        del device, batch_size
        if dtype == "int8" and calibration is None:
            raise BackendError("'calibration' must be noisy images when 'dtype' is int8, got None")
        import_openvino()  # before anything else imports it with its telemetry
        try:
            graph = _convert(module, input_shape)
            if calibration is not None and dtype == "int8":
                graph = quantize.quantize(graph, calibration)
            return _Compiled(graph, dtype, input_shape)
        except Exception as error:  # the converter raises many kinds for what it does not know
            raise BackendError(
                f"'module' must be expressible in OpenVINO: {type(error).__name__}: {error}"
            ) from error


class _Compiled:
    """The network for any batch size, and a faster one for the size that is asked for again and again.

    A fixed size is worth 10 to 20 % on small networks. Only the latest is kept: each holds its own weights.
    """

    def __init__(self, graph: Any, dtype: str, input_shape: tuple[int, int, int]) -> None:
        self._graph = graph
        self._dtype = dtype
        self._input_shape = input_shape
        self._threads = threads()
        self._any_size = self._request(-1)
        self._last_size = 0
        self._fixed_size = 0
        self._fixed: Any = None

    def _request(self, batch_size: int) -> Any:
        import openvino
        from openvino import properties
        from openvino.properties import hint

        self._graph.reshape([batch_size, *self._input_shape])
        settings = {
            hint.inference_precision: getattr(openvino.Type, PRECISIONS[self._dtype]),
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            properties.inference_num_threads: self._threads,
            hint.enable_cpu_pinning: False,  # or two workers may be pinned to the same cores
        }
        return openvino.Core().compile_model(self._graph, "CPU", settings).create_infer_request()

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` to float32 logits ``(b, k)``."""
        from openvino import Tensor as View

        request = self._request_for(len(images))
        # The view shares memory with the images; it must not outlive this call.
        request.set_input_tensor(View(images.detach().contiguous().numpy(), shared_memory=True))
        request.infer()
        return torch.from_numpy(request.get_output_tensor().data).clone()

    def _request_for(self, batch_size: int) -> Any:
        """A size is compiled when it comes twice in a row: full batches do, what is left over does not.

        Not in int8, where the two round differently: an image has to get the same logits in every batch.
        """
        if self._dtype == "int8":
            return self._any_size
        repeated, self._last_size = batch_size == self._last_size, batch_size
        if repeated and batch_size != self._fixed_size:
            self._fixed = self._request(batch_size)
            self._fixed_size = batch_size
        return self._fixed if batch_size == self._fixed_size else self._any_size


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
