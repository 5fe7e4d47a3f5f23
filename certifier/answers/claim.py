"""What a certificate claims, in words."""

from collections.abc import Sequence

from contract.certificates import ClassLabel, Memory, NoiseEvidence, Radius
from contract.choices import Fit, MemoryOutcome, NoiseKind, NoiseLevel
from contract.tasks import CertifyQuestion


def claim(
    question: CertifyQuestion,
    label: ClassLabel | None,
    radius: Radius,
    evidence: Sequence[NoiseEvidence],
    memory: Memory,
) -> str:
    """Returns the claim of a certificate; no label means that there is none."""
    if label is None:
        return "No claim: no class was separated from the others by these votes."
    # What was uploaded may have another size: nothing is claimed of it.
    image = "this image" if question.asked.fit is Fit.EXACT else "the image as fitted to the model"
    if memory.outcome is not MemoryOutcome.OFF:
        return _of_deployment(question, label, radius, memory, image)
    noises = " and ".join(f"{one.noise.value} noise, sigma {one.sigma:g}" for one in evidence)
    adapted = ", its batch-norm statistics re-estimated under that noise" if question.resolved.adapt else ""
    unless = f"unless an event of probability at most {question.asked.alpha:g} happened while sampling."
    if question.asked.noise is NoiseKind.HYBRID:
        words = (
            f"The hybrid classifier (this model under {noises}{adapted}) answers no class but '{label.name}' "
            f"for {image} and for every image within an l2 distance below {radius.l2:.6f} or an l1 "
            f"distance below {radius.l1:.6f} of it (pixels in [0, 1]), though it may abstain there, {unless}"
        )
    else:
        norm, size = question.asked.noise.norm, radius.of(question.asked.noise)
        words = (
            f"The smoothed classifier (this model under {noises}{adapted}) answers '{label.name}' for "
            f"{image} and for every image within an {norm} distance below {size:.6f} of it "
            f"(pixels in [0, 1]), {unless}"
        )
    if question.asked.seed is not None:
        words += " The client chose the seed: this holds only if it was drawn before the image was chosen."
    if question.resolved.noise_level is NoiseLevel.FIXED:
        return words
    # Choosing a level by input makes another classifier, which the theorem for fixed noise does not cover.
    return (
        f"{words} The noise level was chosen for this image: the claim is about the classifier smoothed at "
        f"this level, not about one that chooses its level anew for every image."
    )


def _of_deployment(
    question: CertifyQuestion, label: ClassLabel, radius: Radius, memory: Memory, image: str
) -> str:
    """What the memory of certified regions guarantees, however the noise level was chosen."""
    balls = f"an {question.asked.noise.norm} distance below {radius.of(question.asked.noise):.6f}"
    if question.asked.noise is NoiseKind.HYBRID:
        balls += f" or an l1 distance below {radius.l1:.6f}"
    chance = (
        f"The probability that the votes for this image were misleading is at most {question.asked.alpha:g}; "
        f"every region of the memory has a probability of its own."
    )
    if memory.outcome is MemoryOutcome.RELABELLED:
        chance = "The label is that of the regions that hold this image, not that of the votes."
    return (
        f"Every later answer of this deployment, in the memory '{memory.namespace}' of epoch {memory.epoch}, "
        f"to {image} or any image within {balls} of it (pixels in [0, 1]) is '{label.name}', or none. "
        f"{chance}"
    )
