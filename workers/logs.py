"""Where a worker's own words go: standard error, one line each."""

import sys

import structlog


def configure() -> None:
    """Sends structlog's lines to standard error, in colour only when a person reads them."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
