"""How many examples of a property are tried, and which.

By default the examples follow from the test alone: the same tree has the same outcome everywhere. The profile
`explore` (`make explore`) draws ten times as many at random, and remembers in `.hypothesis` those that failed.
"""

from hypothesis import HealthCheck, settings

_USUAL = 100

# No rule here is about time: a busy machine must not decide an outcome.
_timeless = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _timeless, derandomize=True, max_examples=_USUAL)
settings.register_profile("explore", _timeless, derandomize=False, max_examples=10 * _USUAL, print_blob=True)


def times() -> int:
    """How many times the usual number of examples is wanted."""
    return settings().max_examples // _USUAL


def examples(number: int) -> settings:
    """Settings of a test that usually tries this many examples: a decorator."""
    return settings(max_examples=number * times())
