"""When to look at the votes, and when to stop drawing them."""

from smoothing.stopping.rules import Deadline, Looks, Stop, StopRules, Target, stop_rules
from smoothing.stopping.schedule import Look, look_schedule, target_schedule

__all__ = [
    "Deadline",
    "Look",
    "Looks",
    "Stop",
    "StopRules",
    "Target",
    "look_schedule",
    "stop_rules",
    "target_schedule",
]
