"""Importing OpenVINO and NNCF without their telemetry.

It would write an identifier into the user's home folder and report over the net.
"""

import functools
import importlib
import logging
import sys
from types import SimpleNamespace
from typing import Any

_TELEMETRY = "openvino_telemetry"


@functools.cache
def import_openvino() -> Any:
    """Return the package, for which the telemetry is not installed."""
    return _without_telemetry("openvino")


@functools.cache
def import_nncf() -> Any:
    """Return the package, for which the telemetry is not installed, and without its log and progress bars."""
    import_openvino()
    nncf = _without_telemetry("nncf")
    tracking: Any = importlib.import_module("nncf.telemetry.decorator")
    tracking.telemetry = SimpleNamespace(start_session=_nothing, send_event=_nothing, end_session=_nothing)
    nncf.set_log_level(logging.ERROR)
    progress: Any = importlib.import_module("nncf.common.logging.track_progress")
    shown = progress.Progress
    progress.Progress = lambda *columns, **options: shown(*columns, **{**options, "disable": True})
    # To say that an OpenVINO graph is no PyTorch module it would import, at length, a part that prints.
    kinds: Any = importlib.import_module("nncf.common.utils.backend")
    kinds.is_torch_model = lambda _: False
    return nncf


def _without_telemetry(name: str) -> Any:
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # its import fails, and both can do without
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def _nothing(*args: object, **kwargs: object) -> None:
    """Report nothing."""
