"""The waiting times of tests: a fifth of the defaults, in which what is dead is found to be dead."""

FAST = {
    "engine_heartbeat_seconds": 1,
    "engine_alive_seconds": 4,
    "silent_seconds": 3,
    "silent_grace_seconds": 1.6,
    "taken_seconds": 2,
    "reaper_seconds": 0.6,
    "job_monitoring_seconds": 1,
    "worker_ttl_seconds": 9,
}
FAST_ENVIRONMENT = {f"RADII_TIMING__{name.upper()}": str(value) for name, value in FAST.items()}
RUDE = {"RADII_NICENESS": "1"}
"""Engines that give way to others hardly get on where four lanes share two cores."""
