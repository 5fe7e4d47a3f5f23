"""Runs the named benchmarks, as in ``python -m benchmarks anytime``; by default those of speed."""

import sys

from rich.console import Console

from benchmarks import anytime, load, memory, overhead, precision, votes

BENCHMARKS = {
    "votes": votes.run,
    "overhead": overhead.run,
    "precision": precision.run,
    "anytime": anytime.run,
    "memory": memory.run,
    "load": load.run,
}
SPEED = ("votes", "overhead")

console = Console()
for name in sys.argv[1:] or SPEED:
    if name not in BENCHMARKS:
        sys.exit(f"'benchmark' must be one of {', '.join(BENCHMARKS)}, got {name!r}")
    BENCHMARKS[name](console)
