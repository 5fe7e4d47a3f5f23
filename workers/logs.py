"""One line for each event on standard error, from every process of a worker.

`service.logs` writes lines of the same form: an API and its workers share a log, and no code.
"""

import logging
import sys
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from contract.settings import LogFormat, LogLevel
from workers.failures import Abandoned, EngineLost, JobFailure

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_log = structlog.get_logger()


def configure(process: str, form: LogFormat = "auto", level: LogLevel = "info") -> None:
    """Sends every line to standard error: as JSON, or for a person when one reads it.

    A traceback is one field of text, without variables: those hold images and passwords.

    Args:
        process: What this process is; a field of every line.
        form: ``auto`` is ``console`` on a terminal and ``json`` elsewhere.
        level: Lines below it are not written; libraries write warnings and errors at most.
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
    last = _for_people() if readable else _as_json()
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_not_told_already)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level], logging.WARNING), force=True)
    logging.captureWarnings(True)
    sys.excepthook = _tell_last_words


def _for_people() -> list[Processor]:
    colors = sys.stderr.isatty()
    return [
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _as_json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _is_not_told_already(_record: logging.LogRecord) -> bool:
    """RQ writes a traceback for each job that ends without a result; the relay has said why in one line."""
    return not isinstance(sys.exc_info()[1], JobFailure | EngineLost | Abandoned)


def _tell_last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log.critical("process ends by an error", exc_info=(kind, error, trace))
