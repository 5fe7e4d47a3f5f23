"""Post-training quantisation by NNCF to 8-bit weights and activations, calibrated on noisy images."""

import importlib
import importlib.util
from typing import Any

from torch import Tensor

from models.backends.silent import import_nncf

CALIBRATION_IMAGES = 64
"""Images for calibration. The ranges of activations settle within some dozens of images."""


def installed() -> bool:
    """Return whether NNCF is installed."""
    return importlib.util.find_spec("nncf") is not None


def quantize(graph: Any, calibration: Tensor) -> Any:
    """Return an OpenVINO graph in int8. The same graph and images give the same result, bit for bit.

    Its ranges are constants, so an image's logits do not depend on its batch.
    """
    nncf = import_nncf()
    # `nncf.quantize` does the same, but first sends telemetry and imports its PyTorch part.
    implementation = importlib.import_module("nncf.openvino.quantization.quantize_model")
    images = calibration[:CALIBRATION_IMAGES].contiguous().numpy()
    return implementation.quantize_impl(
        graph,
        nncf.Dataset([images]),
        subset_size=1,
        advanced_parameters=nncf.AdvancedQuantizationParameters(batchwise_statistics=True),
    )
