"""Verdicts follow from intervals."""

import re

import pytest

from evaluation.papers.claims import Verdict
from evaluation.papers.claims_section import claims
from evaluation.papers.comparisons import Difference, Paired
from evaluation.papers.measures import Answers
from tests.evaluation.papers.support import certified, claim_of, outcome


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        (("more", 0.0), 0.1, 0.3, Verdict.HOLDS),
        (("more", 0.0), -0.1, 0.3, Verdict.UNDECIDED),
        (("more", 0.0), -0.3, -0.1, Verdict.DOES_NOT_HOLD),
        (("more", 0.0), 0.0, 0.0, Verdict.UNDECIDED),  # no image differs: two names for one thing
        (("less", 0.0), -0.3, -0.1, Verdict.HOLDS),
        (("less", 0.0), -0.3, 0.1, Verdict.UNDECIDED),
        (("less", 0.0), 0.1, 0.3, Verdict.DOES_NOT_HOLD),
        (("no_less", 0.02), -0.01, 0.3, Verdict.HOLDS),
        (("no_less", 0.02), -0.03, 0.3, Verdict.UNDECIDED),
        (("no_less", 0.02), -0.05, -0.03, Verdict.DOES_NOT_HOLD),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(
    rule: tuple[str, float], low: float, high: float, expected: Verdict
) -> None:
    found = Difference((low + high) / 2, 0.0, low, high, 100)
    claim = claim_of(*rule)
    assert claim.verdict(found) is expected
    assert claim.verdict(None) is Verdict.UNDECIDED
    assert claim.judge({}) == (None, Verdict.MISSING)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1" * 200, "1" * 200, Verdict.HOLDS),  # none differs: 1.88 points either way
        ("1" * 199 + "0", "1" * 200, Verdict.UNDECIDED),  # 2.8 points worse may be
        ("1" * 200, "0" * 9 + "1" * 191, Verdict.HOLDS),  # 4.5 points better
        ("0" * 20 + "1" * 180, "1" * 200, Verdict.DOES_NOT_HOLD),
    ],
)
def test_few_images_that_differ_prove_little(first: str, second: str, expected: Verdict) -> None:
    """Of 200 images, by Tango's interval."""
    outcomes = {
        "n": {"plan": {"every": 1}, "tables": {"t": {"rows": [["x", "a", first], ["x", "b", second]]}}}
    }
    one, other = (Answers(evaluation="n", table="t", row=("x", name)) for name in "ab")
    found = Paired(first=one, second=other).compare(outcomes)
    assert claim_of("no_less", 0.02).verdict(found) is expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((1.0, 0.9, 1.1), (0.5, 0.5, 0.5), "**holds**"),
        ((0.5, 0.5, 0.5), (1.0, 0.9, 1.1), "**does not hold**"),
        ((0.5, 0.1, 0.9), (0.1, 0.5, 0.8), "**not decided**"),
        (None, (0.5, 0.5, 0.5), "**not measured yet**"),
    ],
)
def test_the_page_gives_the_verdict(
    ours: tuple[float, ...] | None, theirs: tuple[float, ...], expected: str
) -> None:
    """On hand-made certificates of three images; what has no reason says that it has none."""
    gaussian = certified(dict(zip((0, 40, 80), theirs, strict=True)))
    outcomes = {
        "certify-gaussian": outcome(**{"fashion-mnist-gaussian, gaussian, as trained, σ = 0.5": gaussian})
    }
    if ours is not None:
        consistency = certified(dict(zip((0, 40, 80), ours, strict=True)))
        outcomes["certify-consistency"] = outcome(
            **{"fashion-mnist-consistency, gaussian, as trained, σ = 0.5": consistency}
        )
    for name, found in outcomes.items():
        found["bundles"][f"fashion-mnist-{name.removeprefix('certify-')}"] = {
            "epochs": 16 if "gaussian" in name else 5
        }
        dtype = "float32" if name == "certify-consistency" else "int8"
        found["tables"]["certificates"] = {"columns": ["executed by"], "rows": [[f"openvino {dtype}"]]}
    shown = claims(outcomes)
    (row,) = [line for line in shown.splitlines() if line.startswith("| consistency |")]
    assert expected in row
    explained = re.search(r"\*\*consistency\*\*: We have no explanation\.", shown) is not None
    assert explained == (expected == "**does not hold**")
    unlike = "Epochs: consistency 5, gaussian 16. Executed by openvino float32 and openvino int8." in shown
    assert unlike == (ours is not None)
