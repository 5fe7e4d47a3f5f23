"""A child ends when its parent does, however the parent ended.

The parent holds the only write end of the child's standard input and never writes. When the parent dies, even
by SIGKILL, the kernel closes the pipe and the child reads its end. Works on every POSIX system.
"""

import os
import sys
import threading
from collections.abc import Callable


def hold(on_parent_gone: Callable[[], None]) -> None:
    """Calls ``on_parent_gone`` in a thread when standard input ends, then leaves the process at once."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        try:
            on_parent_gone()
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
