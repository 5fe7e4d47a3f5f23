"""Post-training quantisation by NNCF: weights and activations in 8 bits, ranges fitted to noisy images."""

import importlib
import importlib.util
from typing import Any

from torch import Tensor

from models.backends.silent import import_nncf

CALIBRATION_IMAGES = 64
"""Ranges of activations settle within some dozens of images; more of them only take longer."""


def installed() -> bool:
    """Say whether NNCF is there."""
    return importlib.util.find_spec("nncf") is not None


def quantize(graph: Any, calibration: Tensor) -> Any:
    """Return an OpenVINO graph in int8; the same graph and images give the same, bit for bit.

    The ranges are constants of the result, so an image's logits do not depend on its batch.
    """
    nncf = import_nncf()
    # `nncf.quantize` does the same after it has reported its use and imported its PyTorch half.
    implementation = importlib.import_module("nncf.openvino.quantization.quantize_model")
    images = calibration[:CALIBRATION_IMAGES].contiguous().numpy()
    return implementation.quantize_impl(
        graph,
        nncf.Dataset([images]),
        subset_size=1,
        advanced_parameters=nncf.AdvancedQuantizationParameters(batchwise_statistics=True),
    )
