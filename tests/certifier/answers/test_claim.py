"""What a certificate claims, in words: the classifier, the balls, the probability, and what is not claimed."""

from typing import Any

import pytest

from certifier import LoadedModel, Variants, certify
from certifier.answers.claim import claim
from certifier.answers.evidence import noise_evidence
from certifier.verdict import NO_MEMORY
from contract.certificates import ClassLabel, Memory, Radius
from contract.choices import MemoryOutcome, NoiseLevel
from contract.requests import CertifyRequest
from smoothing import NOISES, Uniform
from tests.support.tasks import certify_task

RADIUS = Radius(l2=0.25, l1=0.5, linf=0.1)
CAT = ClassLabel(index=0, name="cat")


def remembered(outcome: MemoryOutcome) -> Memory:
    return Memory(namespace="mine", epoch="e1", outcome=outcome, index=0, neighbours=[], inherited=None)


@pytest.fixture
def said(plane: LoadedModel, image: Any, variants: Variants) -> Any:
    def words(memory: Memory = NO_MEMORY, label: ClassLabel | None = CAT, **fields: Any) -> str:
        question = certify_task(**{"sigma": 0.5, "n0": 10, "n": 50, "alpha": 0.01, **fields}).question
        findings = certify(image, plane, question, variants=variants)
        evidence = [noise_evidence(run, question.resolved.n) for run in findings.runs]
        return claim(question, label, RADIUS, evidence, memory)

    return words


@pytest.mark.parametrize(
    ("noise", "ball"),
    [("gaussian", "an l2 distance below 0.250000"), ("uniform", "an l1 distance below 0.500000")],
)
def test_one_noise_speaks_of_its_own_norm(said: Any, noise: str, ball: str) -> None:
    """And of the level that the votes were made at."""
    words = said(noise=noise)
    level = f"{NOISES[noise](0.5).on_lattice().sigma:g}"
    assert f"(this model under {noise} noise, sigma {level}) answers 'cat' for this image" in words
    assert f"within {ball} of it (pixels in [0, 1])" in words
    assert "unless an event of probability at most 0.01 happened while sampling" in words
    assert "chosen for this image" not in words


def test_nothing_is_claimed_of_a_picture_of_another_size(said: Any) -> None:
    """The centre of the ball is the fitted image, whose digest the certificate has."""
    assert "for the image as fitted to the model and for every image within" in said(fit="resize")


def test_whoever_chooses_the_seed_is_told_what_it_is_worth(said: Any) -> None:
    assert "seed" not in said()
    question = CertifyRequest(sigma=0.5, seed="ff", n=50, alpha=0.01)
    asked = certify_task(sigma=0.5, n=50).question.model_copy(update={"asked": question})
    words = claim(asked, CAT, RADIUS, [], NO_MEMORY)
    assert "The client chose the seed: this holds only if it was drawn before the image was chosen." in words


def test_a_hybrid_promises_no_other_class(said: Any) -> None:
    """In both balls; it may abstain there."""
    words = said(noise="hybrid", sigma_uniform=0.4)
    level = f"{Uniform(0.4).on_lattice().sigma:g}"
    assert f"gaussian noise, sigma 0.5 and uniform noise, sigma {level}" in words
    assert "answers no class but 'cat'" in words
    assert "l2 distance below 0.250000 or an l1 distance below 0.500000" in words
    assert "though it may abstain there" in words


def test_a_level_chosen_for_the_image_is_said_to_be(said: Any) -> None:
    """The theorem is about one level for all images."""
    words = said(noise_level=NoiseLevel.AUTO, sigma_grid=[0.25, 0.5])
    assert "The noise level was chosen for this image" in words
    assert "not about one that chooses its level anew for every image" in words


def test_a_memory_promises_later_answers(said: Any) -> None:
    """Of this deployment, namespace and epoch, however the level was chosen; the votes may still have misled."""
    words = said(remembered(MemoryOutcome.ADDED))
    assert "Every later answer of this deployment, in the memory 'mine' of epoch e1" in words
    assert "an l2 distance below 0.250000" in words
    assert "The probability that the votes for this image were misleading is at most 0.01" in words


def test_a_label_of_the_memory_is_not_that_of_the_votes(said: Any) -> None:
    """So no probability of the votes is stated."""
    words = said(remembered(MemoryOutcome.RELABELLED))
    assert "The label is that of the regions that hold this image, not that of the votes" in words
    assert "probability" not in words


def test_nothing_is_claimed_without_a_label(said: Any) -> None:
    """An abstention is an answer without a claim."""
    assert said(label=None) == "No claim: no class was separated from the others by these votes."
