"""A child ends when its parent does, however the parent ended.

The parent holds the only write end of the child's standard input and never writes. When the parent dies, even
by SIGKILL, the kernel closes the pipe and the child reads its end. This works on every POSIX system.
"""

import os
import sys
import threading
from collections.abc import Callable


def end_with_parent(first: Callable[[], object] | None = None) -> None:
    """Ends this process when its parent has ended, after it has called ``first``. A thread waits for that."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        try:
            if first is not None:
                first()
        finally:
            # Not `sys.exit`: that would end this thread alone.
            os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
