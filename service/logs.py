"""One line for each event on standard error: ours, uvicorn's and every library's, all of the same form.

`workers.logs` writes lines of the same form: an API and its workers share a log, and no code.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from contract.settings import LogFormat, LogLevel

_LEVELS: Final[Mapping[LogLevel, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure_logs(form: LogFormat = "auto", level: LogLevel = "info") -> None:
    """Sends every line to standard error: as JSON, or for a person when one reads it.

    structlog's default shows every frame's variables, which hold images and passwords; here a traceback is
    one field of text.
    """
    readable = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_process,
    ]
    last = _for_people() if readable else _as_json()
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )
    foreign = ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[ProcessorFormatter.remove_processors_meta, *last],
    )
    _take_over(foreign, max(_LEVELS[level], logging.WARNING))


def _for_people() -> list[Processor]:
    colors = sys.stderr.isatty()
    return [
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _as_json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _name_process(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event.setdefault("process", "api")
    return event


def _take_over(formatter: logging.Formatter, level: int) -> None:
    """Makes our handler the only one of the root logger that writes, and uvicorn's loggers use it."""
    handler = _StderrHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _StderrHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # requests are told by `service.edge.observing`


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to what standard error is at that moment, which a test or a server may have replaced."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """Standard error."""
        return sys.stderr


def _to_stderr(*_: Any) -> structlog.WriteLogger:
    return structlog.WriteLogger(sys.stderr)
