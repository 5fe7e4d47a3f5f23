"""Logging for every process: one line per event on standard error, as JSON or for a console.

The API, the workers and their libraries write lines of the same form, so one log can collect them all.
"""

import logging
import sys
from collections.abc import Mapping
from types import TracebackType
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
# uvicorn gives these handlers of its own.
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure_logs(
    process: str,
    form: LogFormat = "auto",
    level: LogLevel = "info",
    *,
    whole_process: bool = True,
    already_logged: tuple[type[BaseException], ...] = (),
) -> None:
    """Sends every line to standard error.

    A traceback is one field of text. structlog's default would add every frame's variables, which hold images
    and passwords.

    Args:
        process: Name of this process; a field of every line.
        form: ``auto`` is ``console`` on a terminal and ``json`` elsewhere.
        level: Lines below it are dropped. Libraries write warnings and errors at most.
        whole_process: Also log warnings and the exception that ends the process. False inside a server or a
            test run, which have handlers of their own for both.
        already_logged: Exceptions that our code has logged in one line. A library's line about one of them,
            with its traceback, is dropped.
    """
    readable = form == "console" or (form == "auto" and sys.stderr.isatty())

    def name_process(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_process,
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if readable:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler()
    handler.addFilter(lambda _: not isinstance(sys.exc_info()[1], already_logged))
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    _install(handler, max(_LEVELS[level], logging.WARNING))
    if whole_process:
        logging.captureWarnings(True)
        sys.excepthook = _log_last_exception


def _install(handler: logging.Handler, level: int) -> None:
    """Installs the handler on the root logger, which uvicorn's loggers then use; replaces an earlier one."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _StderrHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # the API logs each request itself


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to the current standard error, which a test or a server may have replaced since."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """Standard error."""
        return sys.stderr


def _log_last_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger().critical("process ended by an exception", exc_info=(kind, error, trace))
