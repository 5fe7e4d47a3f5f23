"""Prints every benchmark. ``python -m benchmarks votes overhead`` runs those that are named."""

import sys

from rich.console import Console

from benchmarks import overhead, votes

BENCHMARKS = {"votes": votes.run, "overhead": overhead.run}

console = Console()
for name in sys.argv[1:] or BENCHMARKS:
    if name not in BENCHMARKS:
        sys.exit(f"'benchmark' must be one of {', '.join(BENCHMARKS)}, got {name!r}")
    BENCHMARKS[name](console)
