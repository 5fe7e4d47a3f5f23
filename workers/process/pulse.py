"""A file that shows that an engine's threads run: for probes on the same machine, whatever Redis does."""

import tempfile
import threading
import time
from pathlib import Path
from typing import Final

FOLDER_PREFIX: Final = "radii-worker-"
_NAME: Final = "alive"


def begin(folder: Path, interval: float) -> None:
    """Touches a file in the worker's folder every ``interval`` seconds, in a thread."""
    file = folder / _NAME

    def beat() -> None:
        while folder.is_dir():
            file.touch()
            time.sleep(interval)

    threading.Thread(target=beat, name="pulse", daemon=True).start()


def youngest(within: Path | None = None) -> float | None:
    """Returns the seconds since the last pulse of an engine on this machine; None: there is no worker."""
    ages = []
    for file in (within or Path(tempfile.gettempdir())).glob(f"{FOLDER_PREFIX}*/{_NAME}"):
        try:
            ages.append(time.time() - file.stat().st_mtime)
        except FileNotFoundError:
            continue
    return min(ages, default=None)
