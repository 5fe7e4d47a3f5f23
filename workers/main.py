"""Starts one worker from the environment."""

import structlog
from pydantic import ValidationError

from contract.environment import describe_settings
from workers import lifeline as line
from workers import logs
from workers.settings import WorkerSettings
from workers.supervisor import GAVE_UP, Supervisor


def run(*, lifeline: bool = False) -> int:
    """Runs a worker until it is told to stop; returns the exit code.

    Args:
        lifeline: End when standard input ends, because a parent holds it.
    """
    logs.configure()
    if lifeline:
        line.hold(lambda: None)
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        structlog.get_logger().error("worker not started", reason=describe_settings(error))
        return GAVE_UP
    return Supervisor(settings).run()


if __name__ == "__main__":
    raise SystemExit(run())
