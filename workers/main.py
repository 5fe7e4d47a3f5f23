"""Starts one worker from the environment."""

from workers import lifeline as line
from workers import logs
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor


def run(*, lifeline: bool = False) -> int:
    """Runs a worker until it is told to stop; returns the exit code.

    Args:
        lifeline: End when standard input ends, because a parent holds it.
    """
    settings = WorkerSettings()
    logs.configure("supervisor", settings.log_format, settings.log_level)
    if lifeline:
        line.hold(lambda: None)
    return Supervisor(settings).run()


if __name__ == "__main__":
    raise SystemExit(run())
