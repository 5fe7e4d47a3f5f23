"""Log lines of a process: ours, those of libraries, warnings, and its last exception."""

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import logging, warnings
import structlog
from contract.logs import configure_logs

configure_logs("test", "json", "info", already_logged=(KeyError,))
structlog.get_logger().debug("too little")
structlog.get_logger().info("ours", number=1)
warnings.warn("careful")
library = logging.getLogger("library")
library.info("chatter")
for error in (KeyError("known"), ValueError("news")):
    try:
        raise error
    except Exception:
        library.exception("failed")


def end():
    secret = "s3" + "cret"
    raise SystemError("the end")


end()
"""


def test_every_line_has_one_form() -> None:
    """A library's line about an exception that was logged already is dropped; no variable is ever shown."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {line["process"] for line in lines} == {"test"}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    ours, warning, failed, last = lines
    assert (ours["event"], ours["number"], ours["level"]) == ("ours", 1, "info")
    assert (warning["logger"], "careful" in warning["event"]) == ("py.warnings", True)
    assert (failed["logger"], failed["exception"].splitlines()[-1]) == ("library", "ValueError: news")
    assert (last["level"], last["exception"].splitlines()[-1]) == ("critical", "SystemError: the end")
    assert "s3cret" not in ran.stderr
