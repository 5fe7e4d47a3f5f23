"""How many votes fit into the time that is left."""

from certifier.time_budget import TimeBudget


def test_a_part_of_a_deadline_ends_before_it() -> None:
    """By its share of what is left."""
    assert 28 <= TimeBudget(100.0).part(0.36).votes(1000, least=1, rate=1.0) <= 29
    assert TimeBudget(0.0).part(0.5).is_spent
    assert not TimeBudget(None).part(0.5).is_spent


def test_a_deadline_plans_votes_that_fit() -> None:
    """From time and rate alone; never fewer than can certify anything, never more than were wanted."""
    assert TimeBudget(None).votes(1000, least=10, rate=1.0) == 1000
    assert not TimeBudget(None).is_spent
    assert 700 <= TimeBudget(1.0).votes(10_000, least=10, rate=1000.0) <= 800
    assert 350 <= TimeBudget(1.0).votes(10_000, least=10, rate=1000.0, share=0.5) <= 400
    assert TimeBudget(1.0).votes(100, least=10, rate=1000.0) == 100
    late = TimeBudget(0.0)
    assert late.is_spent
    assert late.votes(1000, least=10, rate=1000.0) == 10


def test_what_was_spent_before_counts() -> None:
    """An attempt that was lost does not give the time back."""
    assert 60 <= TimeBudget(100.0, spent=20.0).votes(1000, least=1, rate=1.0) <= 64
    assert TimeBudget(5.0, spent=6.0).is_spent
