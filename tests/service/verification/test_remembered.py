"""The checks of what a certificate says of the memory of certified regions, against tampering."""

from typing import Any

import pytest

from contract.certificates import Certificate
from contract.choices import MemoryOutcome
from service.verification import verify_certificate
from tests.service.examples import (
    changed,
    disagreeing,
    make_certificate,
    relabelled,
    remembered,
    restated,
)

NOTHING = {"l2": 0.0, "l1": 0.0, "linf": 0.0}
LESS = {"l2": 0.01, "l1": 0.02, "linf": 0.0001}
PROMISED = {"l2": 5.0, "l1": 6.0, "linf": 0.2}
HALF = (5_000, 5_000, 0)
NOISES = ("gaussian", "uniform", "hybrid")
TOLD = {"namespace": "mine", "epoch": "e", "index": 1, "neighbours": [0], "inherited": PROMISED}


def failed(certificate: Certificate) -> list[str]:
    """The names of the checks that a certificate does not pass."""
    return [check.name for check in verify_certificate(certificate).checks if not check.passed]


def retold(certificate: Certificate, **memory: Any) -> Certificate:
    """The certificate with other statements about the memory."""
    return restated(certificate, memory=certificate.memory.model_dump() | memory)


def claiming(certificate: Certificate, radius: dict[str, float]) -> Certificate:
    """Claims another radius; without a second radius that would be larger."""
    same = None if certificate.same_class_radius is None else NOTHING
    return restated(certificate, radius=radius, same_class_radius=same)


@pytest.mark.parametrize("noise", NOISES)
def test_a_memory_that_was_not_asked_says_nothing(noise: str) -> None:
    """Not even its name; and the radius is what the votes prove, no more and no less."""
    made = make_certificate(noise=noise)
    assert failed(made) == []
    for field, value in TOLD.items():
        assert failed(retold(made, **{field: value})) == ["memory"]
    assert "radius" in failed(claiming(made, LESS))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("outcome", ["added", "clipped", "repeated"])
def test_a_stored_answer_claims_what_the_votes_prove(noise: str, outcome: str) -> None:
    """By the label that they prove, and no more in any norm."""
    made = remembered(make_certificate(noise=noise), outcome, neighbours=[3])
    assert failed(made) == []
    for norm in ("l2", "l1", "linf"):
        more = getattr(made.radius, norm) + 1e-6
        assert failed(restated(made, radius=made.radius.model_dump() | {norm: more})) == ["radius"]
        assert "radius" in failed(restated(made, radius=made.radius.model_dump() | {norm: -1e-6}))
    other = {"index": 1, "name": "digit 1"}
    assert failed(restated(made, label=other, agrees=False)) == ["label"]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("outcome", ["clipped", "repeated"])
def test_memory_may_leave_less(noise: str, outcome: str) -> None:
    """What is cut off is not claimed."""
    made = remembered(make_certificate(noise=noise), outcome, neighbours=[3])
    assert failed(claiming(made, LESS)) == []
    assert failed(claiming(made, NOTHING)) == []


@pytest.mark.parametrize(
    ("noise", "own"), [("gaussian", ["l2"]), ("uniform", ["l1"]), ("hybrid", ["l2", "l1"])]
)
def test_what_was_added_whole_is_claimed_whole(noise: str, own: list[str]) -> None:
    """In the norms of the noises: a region has no others, and its balls may hold less than the votes prove."""
    made = remembered(make_certificate(noise=noise), "added")
    for norm in ("l2", "l1", "linf"):
        less = made.radius.model_dump() | {norm: getattr(made.radius, norm) - 1e-6}
        assert failed(claiming(made, less)) == (["radius"] if norm in own else [])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("outcome", ["added", "clipped", "repeated"])
def test_older_regions_may_promise_more(noise: str, outcome: str) -> None:
    """In each norm the larger counts: what is proved, or what is inherited."""
    made = remembered(make_certificate(noise=noise), outcome, neighbours=[3], inherited=PROMISED)
    assert failed(claiming(made, PROMISED)) == []
    assert failed(made) == []
    proved = made.radius.model_dump()
    small = retold(made, inherited=LESS | {"l2": 5.0})
    assert failed(claiming(small, proved | {"l2": 5.0})) == []
    for norm in ("l2", "l1", "linf"):
        assert failed(claiming(made, PROMISED | {norm: PROMISED[norm] + 1e-6})) == ["radius"]
    assert failed(claiming(small, proved | {"l2": 5.0, "l1": 6.0})) == ["radius"]
    assert failed(claiming(retold(made, inherited=None), PROMISED)) == ["radius"]


@pytest.mark.parametrize("outcome", ["added", "clipped", "repeated"])
def test_the_second_radius_of_a_hybrid_is_the_votes_own(outcome: str) -> None:
    """It may be lost to the memory, and to a smaller first one; none inherits it."""
    made = remembered(make_certificate(noise="hybrid"), outcome, neighbours=[3], inherited=PROMISED)
    made = restated(made, radius=PROMISED)
    assert made.same_class_radius is not None
    same = made.same_class_radius.model_dump()
    assert failed(made) == []
    assert failed(restated(made, same_class_radius=NOTHING)) == []
    assert failed(restated(made, same_class_radius=None)) == ["same_class_radius"]
    for norm in ("l2", "l1", "linf"):
        assert failed(restated(made, same_class_radius=same | {norm: same[norm] + 1e-6})) == [
            "same_class_radius"
        ]
    if outcome != "added":
        cut = restated(made, radius=LESS)
        assert failed(cut) == ["same_class_radius"]
        assert failed(restated(cut, same_class_radius=LESS)) == []


@pytest.mark.parametrize("noise", NOISES)
def test_a_memory_that_held_nothing_leaves_an_abstention(noise: str) -> None:
    """What certifies a class is stored; what lies too near a border to be placed claims nothing, either."""
    by_votes = make_certificate(counts=HALF, uniform_counts=HALF, noise=noise)
    nothing = {"index": None, "neighbours": [], "inherited": None}
    for made in (by_votes, make_certificate(noise=noise)):
        fields = {
            "label": None,
            "agrees": None,
            "abstained": True,
            "abstain_reason": "top_class_not_separated",
        }
        none = claiming(restated(remembered(made, "none", **nothing), **fields), NOTHING)
        assert failed(none) == []
        assert failed(retold(none, epoch=None)) == []
        assert failed(claiming(none, LESS)) == ["radius"]
        assert failed(retold(none, namespace=None)) == ["memory"]
        for field in ("index", "neighbours", "inherited"):
            assert failed(retold(none, **{field: TOLD[field]})) == ["memory"]
        for outcome in ("added", "clipped", "repeated"):
            assert "memory" in failed(retold(none, outcome=outcome, index=7, neighbours=[3]))
    certified = remembered(make_certificate(noise=noise), "none", **nothing)
    assert {"radius", "label", "memory"} <= set(failed(certified))
    assert failed(restated(none, same_class_radius=LESS if noise == "hybrid" else NOTHING)) == [
        "same_class_radius"
    ]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("counts", [(9_000, 700, 300), HALF])
def test_memory_may_name_another_label(noise: str, counts: tuple[int, ...]) -> None:
    """The votes may speak for another class or for none; the radius is then the memory's."""
    made = relabelled(make_certificate(counts=counts, uniform_counts=counts, noise=noise), PROMISED)
    assert failed(made) == []
    assert failed(claiming(made, LESS)) == []
    assert failed(retold(made, index=None)) == []
    for norm in ("l2", "l1", "linf"):
        assert failed(claiming(made, PROMISED | {norm: PROMISED[norm] + 1e-6})) == ["radius"]
    assert set(failed(retold(made, inherited=None))) == {"radius", "memory"}
    assert failed(retold(made, neighbours=[])) == ["memory"]
    for outcome in ("off", "none", "added", "clipped", "repeated"):
        assert failed(retold(made, outcome=outcome))


@pytest.mark.parametrize("noise", NOISES)
def test_a_label_of_the_memory_is_another_one(noise: str) -> None:
    """A class of the model, told with its name, and not the votes' own: that would be no relabelling."""
    made = relabelled(make_certificate(noise=noise), PROMISED)
    assert failed(restated(made, label=made.prediction.model_dump(), agrees=True)) == ["label"]
    for index in (-1, 3):
        assert failed(restated(made, label={"index": index, "name": "digit 3"})) == ["label"]
    assert failed(restated(made, agrees=True)) == ["label"]
    assert failed(restated(made, label=None)) == ["label"]
    assert failed(restated(made, label={"index": 1, "name": "digit 0"})) == ["label"]
    assert failed(restated(made, abstain_reason="top_class_not_separated")) == ["label"]
    assert set(failed(restated(made, abstained=True))) == {"label", "memory"}
    if noise == "hybrid":
        assert failed(restated(made, same_class_radius=LESS)) == ["same_class_radius"]


def test_a_label_of_the_memory_where_the_noises_disagree() -> None:
    """It may be that of one of them: together they separate none."""
    made = relabelled(disagreeing(), PROMISED)
    assert failed(made) == []
    assert failed(restated(made, label=made.prediction.model_dump(), agrees=True)) == []


@pytest.mark.parametrize("outcome", ["added", "clipped", "relabelled", "repeated"])
@pytest.mark.parametrize(
    "memory",
    [
        {"namespace": None},
        {"namespace": ""},
        {"epoch": None},
        {"epoch": ""},
        {"index": -1},
        {"neighbours": [3, 3]},
        {"neighbours": [-1]},
        {"inherited": PROMISED | {"l2": -1.0}},
        {"inherited": PROMISED | {"l1": float("inf")}},
        {"inherited": PROMISED | {"linf": float("nan")}},
    ],
)
def test_what_is_told_of_a_memory_can_be_true(outcome: str, memory: dict[str, Any]) -> None:
    """Its name, its epoch, the places of regions, and what they promise."""
    made = make_certificate()
    told = {"neighbours": [3], "inherited": PROMISED}
    made = relabelled(made, PROMISED) if outcome == "relabelled" else remembered(made, outcome, **told)
    assert failed(made) == []
    assert "memory" in failed(retold(made, **memory))


def test_regions_that_decided_were_there_before() -> None:
    """An answer is stored behind them; one that is repeated may have met later ones."""
    for outcome in ("added", "clipped"):
        made = remembered(make_certificate(), outcome, neighbours=[3, 6])
        assert failed(made) == []
        assert failed(retold(made, neighbours=[3, 7])) == ["memory"]
        assert failed(retold(made, index=None)) == ["memory"]
    assert failed(remembered(make_certificate(), "clipped", neighbours=[])) == ["memory"]
    assert failed(remembered(make_certificate(), "repeated", index=None)) == ["memory"]
    assert failed(remembered(make_certificate(), "repeated", neighbours=[8])) == []
    assert failed(retold(relabelled(make_certificate(), PROMISED), neighbours=[8])) == ["memory"]
    assert failed(retold(relabelled(make_certificate(), PROMISED), neighbours=[8], index=None)) == []


def test_evidence_counts_beside_a_memory() -> None:
    """Whatever the memory says, the votes are still computed again."""
    made = relabelled(make_certificate(), PROMISED)
    assert "p_lower" in failed(changed(made, counts=[9_001, 699, 300]))


@pytest.mark.parametrize("outcome", MemoryOutcome)
def test_what_rests_on_the_memory_is_told(outcome: MemoryOutcome) -> None:
    """A reader is not led to believe that votes prove it, and is told what does."""
    made = restated(make_certificate(), memory=TOLD | {"outcome": outcome})
    (message,) = [check.message for check in verify_certificate(made).checks if check.name == "memory"]
    assert ("radii memory check" in message) is (outcome not in ("off", "none"))
    assert ("'mine'" in message) is (outcome != "off")
