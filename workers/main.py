"""Starts one worker from the environment."""

import structlog
from pydantic import ValidationError

from contract.logs import configure_logs
from contract.redis_url import describe_settings
from workers.process.child import Exit
from workers.process.liveness.lifeline import end_with_parent
from workers.process.supervisor import Supervisor
from workers.settings import WorkerSettings


def run(*, lifeline: bool = False) -> int:
    """Runs a worker until a signal stops it; returns the exit code.

    Args:
        lifeline: End when standard input does: a parent holds its other end.
    """
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        configure_logs("supervisor")
        structlog.get_logger().error("worker not started", reason=describe_settings(error))
        return Exit.GAVE_UP
    configure_logs("supervisor", settings.log_format, settings.log_level)
    if lifeline:
        end_with_parent()
    return Supervisor(settings).run()
