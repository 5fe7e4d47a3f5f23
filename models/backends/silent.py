"""Imports OpenVINO and NNCF without their telemetry.

The telemetry writes an identifier into the user's home folder and sends reports over the network.
"""

import functools
import importlib
import logging
import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"


@functools.cache
def import_openvino() -> Any:
    """Return the package, imported without telemetry."""
    return _without_telemetry("openvino")


@functools.cache
def import_nncf() -> Any:
    """Return the package, imported without telemetry, log and progress bars."""
    import_openvino()
    nncf = _without_telemetry("nncf")
    nncf.set_log_level(logging.ERROR)
    progress: Any = importlib.import_module("nncf.common.logging.track_progress")
    shown = progress.Progress
    progress.Progress = lambda *columns, **options: shown(*columns, **{**options, "disable": True})
    # To find that an OpenVINO graph is not a PyTorch module, it would import a slow part that prints.
    kinds: Any = importlib.import_module("nncf.common.utils.backend")
    kinds.is_torch_model = lambda _: False
    return nncf


def _without_telemetry(name: str) -> Any:
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # makes its import fail, which both packages tolerate
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before
