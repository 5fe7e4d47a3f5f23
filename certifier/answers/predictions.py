"""From votes on a label, or from a region that holds the image, to the prediction that a client gets."""

from datetime import UTC, datetime

from certifier.answers.parts import Identity, about_image, adaptation, compute, seed_source
from certifier.loading import LoadedModel
from certifier.noise_plan import noise_plans
from certifier.predict import PredictedNoise, Predictions
from certifier.verdict import NO_MEMORY, Statement
from contract.certificates import PredictedLabel, PredictionVotes
from contract.choices import AbstainReason, MemoryOutcome
from contract.tasks import PredictQuestion


def prediction(
    question: PredictQuestion,
    model: LoadedModel,
    base_class: int,
    identity: Identity,
    *,
    found: Predictions | None = None,
    held: Statement | None = None,
) -> PredictedLabel:
    """Returns the label of the regions that hold the image, or else the one that the votes support.

    Args:
        question: What is asked.
        model: Of which model.
        base_class: The original classifier's own answer.
        identity: The prediction's name, and its image's.
        found: The votes. Where a region decides, those made before it was stored count as work and are not
            stated: the answer does not rest on them. They are needed where none does.
        held: What the memory of regions says; None: no memory was asked.
    """
    memory = NO_MEMORY if held is None else held.memory
    label = None if held is None else held.label
    reason: AbstainReason | None = None
    runs: tuple[PredictedNoise, ...] = ()
    if label is not None:
        memory = memory.model_copy(update={"outcome": MemoryOutcome.REPEATED})
    else:
        assert found is not None  # noqa: S101 (without a region there are votes)
        label, reason, runs = found.label, found.reason, found.runs
    seconds, samples = (0.0, 0) if found is None else (found.seconds, found.samples)
    return PredictedLabel(
        **about_image(identity, question, model, base_class, label, reason),
        sigma=noise_plans(question)[0].start.sigma,
        noise=[_votes(run) for run in runs],
        adaptation=adaptation(question.resolved, [run.statistics_digest for run in runs]),
        memory=memory,
        alpha=question.asked.alpha,
        seed=question.resolved.seed,
        seed_source=seed_source(question),
        compute=compute(
            runs[0].classifier if runs else model.classifier,
            seconds,
            samples,
            exact=all(run.smoothed.exact for run in runs),
        ),
        created_at=datetime.now(UTC),
    )


def _votes(run: PredictedNoise) -> PredictionVotes:
    smoothed = run.smoothed
    return PredictionVotes(
        noise=run.plan.kind,
        sigma=run.plan.start.sigma,
        statistics_digest=run.statistics_digest,
        n=smoothed.n,
        counts=[int(count) for count in smoothed.counts],
        top_class=smoothed.top_class,
        runner_up=smoothed.runner_up,
        p_value=smoothed.p_value,
        alpha=smoothed.alpha,
    )
