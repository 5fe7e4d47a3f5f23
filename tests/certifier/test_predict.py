"""Labels alone, without a job, a queue or a store."""

from typing import Any

import numpy as np
import pytest
from torch import Tensor

import smoothing
from certifier import (
    Identity,
    LoadedModel,
    Statement,
    Variants,
    predict,
    prediction,
)
from certifier.verdict import NO_MEMORY
from contract.certificates import Radius
from contract.choices import AbstainReason, MemoryOutcome, Stage
from contract.tasks import PredictQuestion
from smoothing import Gaussian, Uniform, branch_seed
from tests.support.observing import Recording
from tests.support.tasks import predict_task

IDENTITY = Identity("1" * 32, "a" * 64, "b" * 64)
SEED = 0xABC


def question(**fields: Any) -> PredictQuestion:
    return predict_task(**{"sigma": 0.5, "n": 1000, "seed": f"{SEED:032x}", **fields}).question


def test_a_prediction_is_that_of_the_library(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """Vote for vote, from the same seed."""
    observer = Recording()
    found = predict(image, plane, question(label=0), variants=variants, observer=observer)
    size = plane.classifier.batch_size
    alone = smoothing.predict(plane.classifier, image, Gaussian(0.5), n=1000, batch_size=size, seed=SEED)
    assert np.array_equal(found.runs[0].smoothed.counts, alone.counts)
    assert observer.stages == [(Stage.SAMPLING, 1000)]
    assert observer.completed == 1000
    asked, base_class = question(label=0), plane.original_class(image)
    stated = prediction(asked, plane, base_class, IDENTITY, found=found)
    assert stated.label is not None
    assert (stated.label.index, stated.agrees, stated.correct) == (0, True, True)
    assert (stated.noise[0].counts, stated.compute.samples) == (alone.counts.tolist(), 1000)


def test_a_hybrid_predicts_what_both_noises_do(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """Each at half of alpha, with a seed of its own."""
    found = predict(image, plane, question(noise="hybrid", alpha=0.01), variants=variants)
    for run, noise in zip(found.runs, (Gaussian(0.5), Uniform(0.5)), strict=True):
        alone = smoothing.predict(
            plane.classifier, image, noise, n=1000, alpha=0.005,
            batch_size=plane.classifier.batch_size, seed=branch_seed(SEED, noise.name),
        )  # fmt: skip
        assert run.smoothed.counts.tolist() == alone.counts.tolist()
        assert run.smoothed.alpha == 0.005
    assert found.label == 0
    assert found.samples == 2000


def test_a_coin_flip_has_no_label(tie: LoadedModel, image: Tensor, variants: Variants) -> None:
    """It abstains, and says why."""
    found = predict(image, tie, question(), variants=variants)
    stated = prediction(question(), tie, 0, IDENTITY, found=found)
    assert (stated.label, stated.abstain_reason) == (None, AbstainReason.TOP_CLASS_NOT_SEPARATED)


def test_an_observer_may_abandon_the_votes(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """What it raises comes out unchanged."""
    with pytest.raises(KeyboardInterrupt):
        predict(image, plane, question(), variants=variants, observer=Recording(KeyboardInterrupt()))


def test_what_a_region_says_rests_on_no_votes(plane: LoadedModel, image: Tensor, variants: Variants) -> None:
    """Those that were made meanwhile are counted, and not stated."""
    held = Statement(1, Radius(l2=0.1, l1=0.1, linf=0.1), NO_MEMORY)
    found = predict(image, plane, question(), variants=variants)
    before = prediction(question(), plane, 0, IDENTITY, held=held)
    after = prediction(question(), plane, 0, IDENTITY, held=held, found=found)
    for stated in (before, after):
        assert stated.label is not None
        assert (stated.label.index, stated.noise, stated.agrees) == (1, [], False)
        assert stated.memory.outcome is MemoryOutcome.REPEATED
    assert (before.compute.samples, after.compute.samples) == (0, 1000)
