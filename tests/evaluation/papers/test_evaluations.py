"""The list of evaluations."""

from evaluation.papers.__main__ import PAGE
from evaluation.papers.claims import CLAIMS
from evaluation.papers.evaluations import EVALUATIONS

NAMES = [evaluation.name for evaluation in EVALUATIONS]


def test_claims_rest_on_evaluations_of_the_list() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert set(claim.comparison.evaluations) <= set(NAMES), claim.name
    used = {name for claim in CLAIMS for name in claim.comparison.evaluations}
    page = PAGE.read_text()
    assert all(f"[{name}](#evaluations)" in page for name in used)


def test_images_of_the_smaller_evaluations_are_among_those_of_the_larger() -> None:
    """So that runs of both can be paired."""
    strides = {
        each.options.get("skip", 1)
        for each in EVALUATIONS
        if each.votes and each.options.get("suite") != "levels"  # it is paired with nothing
    }
    assert strides == {20, 40, 80}
