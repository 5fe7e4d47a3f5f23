"""A certificate on a terminal: what is claimed, what it rests on, and nothing more."""

import io

import pytest
from rich.console import Console

from contract.certificates import Certificate, PredictedLabel
from contract.choices import AbstainReason, StopReason
from radii.show.certificate import show_certificate, show_prediction
from radii.show.numbers import floor, in_255
from tests.radii.examples import CLASSES, abstention, certificate, prediction
from tests.service.examples import (
    adapted,
    chosen,
    disagreeing,
    relabelled,
    remembered,
    restated,
    stopped,
)

PROMISED = {"l2": 0.41239, "l1": 0.81239, "linf": 0.01}


def printed(answer: Certificate | PredictedLabel, classes: list[str] = CLASSES) -> str:
    """The answer on a terminal of 100 columns, on one line and without the frame."""
    console = Console(width=100, file=io.StringIO())
    if isinstance(answer, Certificate):
        show_certificate(console, answer, classes)
    else:
        show_prediction(console, answer, classes)
    return " ".join(console.file.getvalue().replace("│", " ").split())  # type: ignore[attr-defined]


def test_a_certificate_tells_what_it_rests_on() -> None:
    """Label, radius in both units, σ, votes, α and the meaning; nothing of what does not apply."""
    made = certificate()
    radius = floor(made.radius.l2)
    text = printed(made)
    for words in (
        "boot",
        f"certified radius {radius} in ℓ2, pixels 0–1 = {in_255(made.radius.l2)} in ℓ2, pixels 0–255",
        f"also ℓ1 {floor(made.radius.l1)}, ℓ∞ {floor(made.radius.linf, 6)}",
        "gaussian, σ = 0.5",
        "990 of 1,000 for boot, then 6 for bag",
        "α 0.001: the probability",
        f"What it means: change the pixels in any way whose ℓ2 length is below {radius}",
        "still answers “boot”",
        "the model's own batch-norm statistics",
    ):
        assert words in text
    for words in ("chosen", "smoothed at", "target", "stopped", "same class", "no other class"):
        assert words not in text


def test_uniform_noise_leads_with_l1() -> None:
    """Its own norm is the claim; ℓ2 comes after it."""
    made = certificate("uniform")
    text = printed(made)
    assert f"certified radius {floor(made.radius.l1)} in ℓ1" in text
    assert f"also ℓ2 {floor(made.radius.l2)}, ℓ∞" in text
    assert f"whose ℓ1 length is below {floor(made.radius.l1)}" in text


def test_hybrid_tells_the_two_kinds_of_radius_apart() -> None:
    """Within the larger no other class is answered; within the smaller this class is."""
    made = certificate("hybrid", uniform_counts=(980, 15, 5))
    assert made.same_class_radius is not None
    text = printed(made)
    assert f"certified radius {floor(made.radius.l2)} in ℓ2" in text
    assert f"certified radius {floor(made.radius.l1)} in ℓ1" in text
    assert "within it the answer is this class, or an abstention" in text
    same = made.same_class_radius
    assert f"same class ℓ2 {floor(same.l2)}, ℓ1 {floor(same.l1)}" in text
    assert "answers no class but “boot”, though it may abstain; within the same-class radius" in text
    assert "still answers" not in text
    assert "990 of 1,000 for boot" in text
    assert "980 of 1,000 for boot" in text
    assert "gaussian, σ = 0.5" in text
    assert "uniform, σ = 0.75" in text


def test_hybrid_of_one_noise_promises_no_class() -> None:
    """The other abstains: so may the hybrid, at any change."""
    text = printed(certificate("hybrid", uniform_counts=(500, 500, 0)))
    assert "same class radius 0: only one noise certifies" in text
    assert "though it may abstain." in text
    assert "within the same-class radius" not in text


def test_a_level_chosen_for_the_image_is_no_claim_about_the_choice() -> None:
    """Which levels were tried, that their radii are proxies, and what the claim is about."""
    text = printed(chosen(certificate()))
    assert "gaussian, σ = 0.5 (127.5 of 255), chosen for this image from a grid" in text
    assert "0.25 → none, 0.5 → 0.61, 1 → 0.44 (σ → ℓ2 radius: proxies, not certified)" in text
    assert (
        "the classifier smoothed at σ = 0.5 only: one that chooses σ anew for every image is another" in text
    )
    optimized = printed(restated(chosen(certificate()), sigma_policy="optimize"))
    assert "found for this image by optimisation" in optimized
    assert "smoothed at σ = 0.5 only" in optimized
    both = printed(chosen(certificate("hybrid", uniform_counts=(980, 15, 5))))
    assert "smoothed at σ = 0.5 and 0.75 only" in both
    assert "(σ → ℓ1 radius: proxies, not certified)" in both


def test_a_level_that_was_given_up_early_is_no_better() -> None:
    """The radius of its few votes would look like its radius."""
    made = chosen(certificate())
    (evidence,) = made.noise
    few = evidence.trials[2].model_copy(update={"n": 10})
    shown = evidence.model_copy(update={"trials": [*evidence.trials[:2], few]})
    text = printed(made.model_copy(update={"noise": [shown]}))
    assert "0.25 → none, 0.5 → 0.61 (σ → ℓ2 radius: proxies, not certified); no better: 1" in text


def test_adaptation_is_told() -> None:
    """Its weight, its images, and which statistics."""
    text = printed(adapted(certificate()))
    assert "adapted to the noise, on 512 clean images, momentum 0.9 (statistics 000000000000)" in text


@pytest.mark.parametrize(
    ("decision", "words"), [(True, "0.5 in ℓ2: certified"), (False, "0.5 in ℓ2: not certified")]
)
def test_the_target_is_decided(decision: bool, words: str) -> None:
    made = certificate()
    assert f"target {words}" in printed(restated(made, target_radius=0.5, target_certified=decision))
    uniform = restated(certificate("uniform"), target_radius=0.5, target_certified=decision)
    assert f"target {words.replace('ℓ2', 'ℓ1')}" in printed(uniform)


@pytest.mark.parametrize("reason", [reason for reason in StopReason if reason is not StopReason.COMPLETE])
def test_an_early_stop_says_why(reason: StopReason) -> None:
    """After how many votes, and in words."""
    text = printed(stopped(certificate(), reason.value))
    assert "stopped after 1,000 of 100,000 votes: " in text
    assert reason.value not in text


def test_a_plan_that_time_has_cut_is_named() -> None:
    """Though all of its votes were made."""
    text = printed(stopped(certificate(), "time_up", planned=1000))
    assert "stopped after 1,000 of 1,000 votes: the time limit allowed no more" in text


@pytest.mark.parametrize("reason", AbstainReason)
def test_every_abstention_says_why(reason: AbstainReason) -> None:
    """In words."""
    text = printed(restated(abstention(), abstain_reason=reason))
    assert "certified radius 0: " in text
    assert reason.value not in text


def test_an_abstention_is_no_error_and_claims_nothing() -> None:
    """It says so in words."""
    text = printed(abstention())
    assert "abstains" in text
    assert "nothing is claimed" in text
    assert "also" not in text
    disagreement = printed(disagreeing())
    assert "different classes" in disagreement
    assert "same class" not in disagreement


@pytest.mark.parametrize("noise", ["gaussian", "hybrid"])
def test_a_prediction_shows_the_votes_of_each_noise(noise: str) -> None:
    """And the failure probability that each of its tests has."""
    text = printed(prediction(noise))
    assert "990 of 1,000 for boot, then 6 for bag" in text
    assert ("uniform, σ = 0.75" in text) is (noise == "hybrid")
    assert f"abstains above α = {0.0005 if noise == 'hybrid' else 0.001}" in text
    assert "adapted no: the model's own batch-norm statistics" in text


def test_a_prediction_on_which_the_noises_disagree() -> None:
    abstained = {"label": None, "agrees": None, "abstained": True, "abstain_reason": "branches_disagree"}
    made = PredictedLabel.model_validate(prediction("hybrid").model_dump() | abstained)
    assert "the two noises answer different classes" in printed(made)


def test_names_of_classes_are_not_markup() -> None:
    """A class may be called anything."""
    made = certificate()
    label = {"index": 0, "name": "[red]boot[/red]"}
    assert "[red]boot[/red]" in printed(restated(made, label=label, prediction=label))
    assert "then 6 for [red]bag[/red]" in printed(made, ["boot", "[red]bag[/red]", "coat"])


def test_a_memory_that_did_nothing_is_not_told_of() -> None:
    """Neither where none was asked, nor where it held nothing."""
    assert "memory" not in printed(certificate())
    nothing = {"index": None, "inherited": None}
    assert "memory" not in printed(remembered(abstention(), "none", **nothing))


def test_a_stored_region_is_told_in_one_line() -> None:
    """And the claim is about all later answers, for as long as the memory is there."""
    text = printed(remembered(chosen(certificate()), "added"))
    assert "memory stored as region 7 of 'default' model" in text
    assert (
        f"every later answer of this deployment (memory 'default', epoch {'e' * 32}) is “boot”, or none"
        in text
    )
    assert "The memory ensures it; the votes alone are about the classifier smoothed at σ = 0.5 only." in text
    assert "still answers" not in text
    assert "another classifier" not in text


def test_what_a_memory_did_is_told() -> None:
    """By which regions; a radius that rests on them is no radius of the votes."""
    made = certificate()
    clipped = printed(remembered(made, "clipped", neighbours=[2, 4, 5]))
    assert "clipped by regions 2, 4 and 5 of another label; stored as region 7 of 'default'" in clipped
    older = printed(remembered(made, "added", neighbours=[2], inherited=PROMISED))
    assert "regions that contain this image promise its label within ℓ2 0.4123, ℓ1 0.8123" in older
    for neighbours in ([], [2]):
        repeated = printed(remembered(made, "repeated", neighbours=neighbours))
        assert "answered from memory, region 7 of 'default'" in repeated
        assert "region 2" not in repeated


def test_a_label_of_the_memory_is_told_to_be_one() -> None:
    """The votes had another, or none."""
    text = printed(relabelled(certificate(), PROMISED))
    assert "the label comes from regions 3 and 5, which contain this image; stored as region 7" in text
    assert "not from its votes" in text
    assert "misleading" not in text
    kept = printed(relabelled(abstention(), PROMISED, index=None, neighbours=[3]))
    assert "the label comes from region 3, which contains this image; nothing stored" in kept
    assert "certified radius 0.4123 in ℓ2" in kept


def test_a_prediction_from_memory_made_no_votes() -> None:
    """It tells neither of votes nor of what they were made with."""
    made = prediction()
    memory = made.memory.model_dump() | {
        "namespace": "mine", "epoch": "e", "outcome": "repeated", "neighbours": [3, 5], "inherited": PROMISED,
    }  # fmt: skip
    compute = made.compute.model_dump() | {"samples": 0, "seconds": 0.0, "samples_per_second": 0.0}
    text = printed(
        PredictedLabel.model_validate(made.model_dump() | {"noise": [], "memory": memory, "compute": compute})
    )
    assert "answered from memory, regions 3 and 5 of 'mine'" in text
    assert "computed nothing: no votes were made" in text
    assert "adapted" not in text
    assert "of 1,000" not in text
