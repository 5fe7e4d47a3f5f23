"""From votes on a label to the prediction that a client gets."""

from datetime import UTC, datetime

from certifier.answers.parts import Identity, about_image, adaptation, compute
from certifier.loading import LoadedModel
from certifier.predict import PredictedNoise, Predictions
from certifier.verdict import NO_MEMORY, Statement
from contract.certificates import Memory, PredictedLabel, PredictionVotes
from contract.choices import MemoryOutcome
from contract.tasks import PredictQuestion


def prediction(
    found: Predictions, base_class: int, identity: Identity, memory: Memory = NO_MEMORY
) -> PredictedLabel:
    """Returns the prediction that the votes support.

    Args:
        found: The votes.
        base_class: The original classifier's own answer.
        identity: The prediction's name, and its image's.
        memory: The memory of regions that was asked and held nothing about the image.
    """
    question, runs = found.question, found.runs
    return PredictedLabel(
        **about_image(identity, question, found.model, base_class, found.label, found.reason),
        sigma=runs[0].noise.sigma,
        noise=[_votes(run) for run in runs],
        adaptation=adaptation(question.resolved, [run.statistics_digest for run in runs]),
        memory=memory,
        alpha=question.asked.alpha,
        seed=question.resolved.seed,
        compute=compute(runs[0].classifier, found.seconds, found.samples),
        created_at=datetime.now(UTC),
    )


def remembered_prediction(
    held: Statement,
    question: PredictQuestion,
    model: LoadedModel,
    base_class: int,
    identity: Identity,
    found: Predictions | None = None,
) -> PredictedLabel:
    """Returns the prediction of an image that lies in a certified region.

    Args:
        held: What the region says.
        question: What is asked.
        model: Of which model.
        base_class: The original classifier's own answer.
        identity: The prediction's name, and its image's.
        found: Votes that were made before the region was stored. Their time is stated, and they are not: the
            answer does not rest on them.
    """
    seconds, samples = (0.0, 0) if found is None else (found.seconds, found.samples)
    return PredictedLabel(
        **about_image(identity, question, model, base_class, held.label, None),
        sigma=question.resolved.sigma,
        noise=[],
        adaptation=adaptation(question.resolved, []),
        memory=held.memory.model_copy(update={"outcome": MemoryOutcome.REPEATED}),
        alpha=question.asked.alpha,
        seed=question.resolved.seed,
        compute=compute(model.classifier, seconds, samples),
        created_at=datetime.now(UTC),
    )


def _votes(run: PredictedNoise) -> PredictionVotes:
    smoothed = run.smoothed
    return PredictionVotes(
        noise=run.plan.kind,
        sigma=run.noise.sigma,
        statistics_digest=run.statistics_digest,
        n=smoothed.n,
        counts=[int(count) for count in smoothed.counts],
        top_class=smoothed.top_class,
        runner_up=smoothed.runner_up,
        p_value=smoothed.p_value,
        alpha=smoothed.alpha,
    )
