"""Certificates and predictions for people: the claim first, then the evidence."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contract.certificates import Adaptation, Certificate, ClassLabel, Compute, NoiseEvidence, PredictedLabel
from contract.choices import AbstainReason, MemoryOutcome, NoiseLevel, StopReason
from radii.show.memory_outcome import what_it_did, what_it_promises
from radii.show.numbers import ceiling, floor, in_255

Facts = Iterator[tuple[str, str]]
ClassNames = Sequence[str]

_ABSTENTIONS: Final = {
    AbstainReason.TOP_CLASS_NOT_SEPARATED: "these votes do not separate any class from the others",
    AbstainReason.NO_NOISE_LEVEL_CERTIFIES: "no noise level that was tried separates a class from the others",
    AbstainReason.BRANCHES_DISAGREE: "the two noises certify different classes",
}
_STOPS: Final = {
    StopReason.TARGET_REACHED: "the target is certified",
    StopReason.TARGET_OUT_OF_REACH: "more votes are unlikely to certify the target",
    StopReason.HOPELESS: "more votes are unlikely to separate a class",
    StopReason.TIME_UP: "the time limit allowed no more",
}

_SYMBOLS: Final = {"l1": "ℓ1", "l2": "ℓ2"}


def show_certificate(console: Console, certificate: Certificate, classes: ClassNames) -> None:
    """Prints a certificate: label, radius, evidence, meaning."""
    facts = _grid(_certificate_facts(certificate, classes))
    body = Group(_headline(certificate), Text(), facts, Text(), Text(_meaning(certificate)))
    _show(console, certificate, body)


def show_prediction(console: Console, prediction: PredictedLabel, classes: ClassNames) -> None:
    """Prints a prediction."""
    _show(console, prediction, _grid(_prediction_facts(prediction, classes)))


def _show(console: Console, answer: Certificate | PredictedLabel, body: RenderableType) -> None:
    title = "no label: the classifier abstains" if answer.label is None else answer.label.name
    style = "yellow" if answer.abstained else "green"
    console.print(Panel(body, title=Text(title, "bold"), border_style=style, width=min(console.width, 96)))


def _grid(facts: Facts) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, words in facts:
        grid.add_row(name, Text(words))
    return grid


def _own_radii(certificate: Certificate) -> list[tuple[str, float]]:
    """The norm of each noise, and the certified radius in it."""
    kinds = [evidence.noise for evidence in certificate.noise]
    return [(_SYMBOLS[kind.norm], certificate.radius.of(kind)) for kind in kinds]


def _headline(certificate: Certificate) -> Text:
    if certificate.abstain_reason is not None:
        return Text(f"certified radius 0: {_ABSTENTIONS[certificate.abstain_reason]}", "bold yellow")
    return Text("\n").join(
        Text.assemble(
            ("certified radius ", "bold"),
            (floor(radius), "bold green"),
            f" in {norm}, pixels 0–1   =   {in_255(radius)} in {norm}, pixels 0–255",
        )
        for norm, radius in _own_radii(certificate)
    )


def _certificate_facts(certificate: Certificate, classes: ClassNames) -> Facts:
    yield from _radius_facts(certificate)
    if certificate.target_radius is not None:
        norm = _SYMBOLS[certificate.noise_kind.norm]
        decision = "certified" if certificate.target_certified else "not certified"
        yield "target", f"{certificate.target_radius:g} in {norm}: {decision}"
    for evidence in certificate.noise:
        yield from _noise_facts(certificate, evidence, classes)
    yield "adapted", _adaptation(certificate.adaptation)
    yield "α", f"{certificate.alpha:g}: the probability, over the sampling, that this certificate is wrong"
    yield from _common_facts(certificate)
    yield "id", certificate.id


def _radius_facts(certificate: Certificate) -> Facts:
    radius, same = certificate.radius, certificate.same_class_radius
    if certificate.abstained:
        return
    if same is None:
        other, value = ("ℓ2", radius.l2) if certificate.noise_kind.norm == "l1" else ("ℓ1", radius.l1)
        yield "also", f"{other} {floor(value)}, ℓ∞ {floor(radius.linf, 6)} (pixels 0–1)"
        return
    yield "also", f"ℓ∞ {floor(radius.linf, 6)} (pixels 0–1)"
    yield "no other class", "what is certified above: within it the answer is this class, or an abstention"
    if any((same.l2, same.l1, same.linf)):
        words = (
            f"ℓ2 {floor(same.l2)}, ℓ1 {floor(same.l1)}, ℓ∞ {floor(same.linf, 6)}: within it, this class only"
        )
    else:
        words = "radius 0: only one noise certifies, so any change may turn the answer into an abstention"
    yield "same class", words


def _noise_facts(certificate: Certificate, evidence: NoiseEvidence, classes: ClassNames) -> Facts:
    sigma = f"σ = {evidence.sigma:g} ({evidence.sigma * 255:.1f} of 255)"
    yield "noise", f"{evidence.noise.value}, {sigma}{_CHOSEN[certificate.sigma_policy]}"
    if evidence.trials:
        yield "tried", _trials(evidence)
    yield "votes", _votes(evidence.counts, evidence.top_class, evidence.runner_up, classes)
    yield "bounds", f"p ≥ {floor(evidence.p_lower)}, any other ≤ {ceiling(evidence.p_upper)}"
    limit = (
        f"{floor(evidence.radius_limit)}: the most that {evidence.n_planned:,} votes can certify at this σ"
    )
    yield "at most", limit
    if evidence.stop_reason is not StopReason.COMPLETE:
        made = f"after {evidence.n_drawn:,} of {evidence.n_planned:,} votes"
        yield "stopped", f"{made}: {_STOPS[evidence.stop_reason]}"


_CHOSEN: Final = {
    NoiseLevel.FIXED: "",
    NoiseLevel.AUTO: ", chosen for this image from a grid",
    NoiseLevel.OPTIMIZE: ", found for this image by optimisation",
}


def _trials(evidence: NoiseEvidence) -> str:
    norm = _SYMBOLS[evidence.noise.norm]
    most = max(trial.n for trial in evidence.trials)
    tried = ", ".join(
        f"{trial.sigma:g} → {floor(trial.proxy_radius, 2) if trial.certifies else 'none'}"
        for trial in evidence.trials
        if trial.n == most
    )
    # Their proxy radii rest on fewer votes and are not comparable.
    given_up = ", ".join(f"{trial.sigma:g}" for trial in evidence.trials if trial.n < most)
    return f"{tried} (σ → {norm} radius: proxies, not certified){given_up and f'; no better: {given_up}'}"


def _votes(counts: list[int], top_class: int, runner_up: int | None, classes: ClassNames) -> str:
    words = f"{counts[top_class]:,} of {sum(counts):,} for {classes[top_class]}"
    if runner_up is not None:
        words += f", then {counts[runner_up]:,} for {classes[runner_up]}"
    return words


def _adaptation(adaptation: Adaptation) -> str:
    if not adaptation.used:
        return "no: the model's own batch-norm statistics"
    return (
        f"to the noise, on {adaptation.clean_size} clean images, momentum {adaptation.momentum:g} "
        f"(statistics {(adaptation.statistics_digest or '')[:12]})"
    )


def _prediction_facts(prediction: PredictedLabel, classes: ClassNames) -> Facts:
    if prediction.abstain_reason is AbstainReason.BRANCHES_DISAGREE:
        yield "abstains", "the two noises answer different classes"
    for votes in prediction.noise:
        yield "noise", f"{votes.noise.value}, σ = {votes.sigma:g}"
        yield "votes", _votes(votes.counts, votes.top_class, votes.runner_up, classes)
        yield "p-value", f"{votes.p_value:.3g} (abstains above α = {votes.alpha:g})"
    if prediction.noise:
        yield "adapted", _adaptation(prediction.adaptation)
    yield from _common_facts(prediction)


def _common_facts(answer: Certificate | PredictedLabel) -> Facts:
    done = what_it_did(answer.memory)
    if done is not None:
        yield "memory", done
    yield "model", f"{answer.model} ({answer.model_digest[:12]})"
    yield "unsmoothed", answer.prediction.name + ("" if answer.agrees is not False else "  (disagrees)")
    if answer.correct is not None:
        yield "correct", "yes" if answer.correct else "no"
    yield "computed", _speed(answer.compute)


def _speed(compute: Compute) -> str:
    if compute.samples == 0:
        return "nothing: no votes were made"
    return (
        f"{compute.samples:,} votes in {compute.seconds:.2f} s ({compute.samples_per_second:,.0f} a second; "
        f"{compute.backend}, {compute.dtype}, {compute.device}, {compute.arithmetic.value} noise)"
    )


def _meaning(certificate: Certificate) -> str:
    if certificate.label is None:
        return "What it means: nothing is claimed about this image. More votes, or another σ, may certify it."
    sentences = [_promise(certificate, certificate.label), _chance(certificate)]
    sentences.append("It does not say whether the label is true.")
    if certificate.sigma_policy is not NoiseLevel.FIXED:
        sentences.insert(1, _level(certificate))
    return "What it means: " + " ".join(sentences)


def _chance(certificate: Certificate) -> str:
    if certificate.memory.outcome is MemoryOutcome.RELABELLED:
        return "The label comes from the regions that contain this image, not from its votes."
    return f"The votes are misleading with probability at most {certificate.alpha:g}."


def _level(certificate: Certificate) -> str:
    """Choosing σ per image makes another classifier; only the memory makes its answers consistent."""
    levels = " and ".join(dict.fromkeys(f"{evidence.sigma:g}" for evidence in certificate.noise))
    if what_it_promises(certificate.memory) is not None:
        return (
            f"The memory ensures it; the votes alone are about the classifier smoothed at σ = {levels} only."
        )
    return (
        f"This is about the classifier smoothed at σ = {levels} only: one that chooses σ anew for every "
        "image is another classifier, and might choose differently for a changed image."
    )


def _promise(certificate: Certificate, label: ClassLabel) -> str:
    lengths = " or ".join(
        f"whose {norm} length is below {floor(radius)}" for norm, radius in _own_radii(certificate)
    )
    same = certificate.same_class_radius
    change = f"change the pixels in any way {lengths}, and"
    answers = what_it_promises(certificate.memory)
    if answers is not None:
        return f"{change} {answers} is “{label.name}”, or none."
    change += " the"
    if same is None:
        return f"{change} smoothed classifier still answers “{label.name}”."
    if not any((same.l2, same.l1, same.linf)):
        return f"{change} hybrid classifier answers no class but “{label.name}”, though it may abstain."
    return (
        f"{change} hybrid classifier answers no class but “{label.name}”, though it may abstain; within the "
        f"same-class radius both smoothed classifiers have “{label.name}”."
    )
