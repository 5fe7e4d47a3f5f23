"""Adapted models as a worker executes them: kept, and prepared otherwise where the fast way will not do."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch
from redis import Redis

from certifier import AdaptationLaw, LoadedModel, Variants, load_model
from contract import keys
from models.backends import BackendError, checks
from models.bundles import ZOO, load_bundle
from smoothing import Gaussian, Statistics, generator_for
from workers.job.shared_statistics import SharedStatistics

LAW = AdaptationLaw(Gaussian(0.5), momentum=1.0, clean_size=64)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(load_bundle(ZOO / "fashion-mnist-adv-l2"), device="cpu")


@pytest.fixture(scope="module")
def noisy(model: LoadedModel) -> torch.Tensor:
    assert model.bundle.clean is not None
    images = torch.from_numpy(model.bundle.clean[:256]).float() / 255
    return images + LAW.noise.sample(images.shape, generator=generator_for(0, "test"))


def test_a_model_that_is_not_adapted_is_the_loaded_one(model: LoadedModel, redis: Redis) -> None:
    """Nothing is prepared twice."""
    variant = Variants(SharedStatistics(redis), capacity=2).get(model, None)
    assert variant.executable is variant.trial is model.classifier
    assert variant.digest is None


def test_trial_and_executable_are_the_same_adapted_function(
    model: LoadedModel, redis: Redis, noisy: torch.Tensor
) -> None:
    """But for rounding; and not the one that was loaded, which has never seen noise."""
    variant = Variants(SharedStatistics(redis), capacity=2).get(model, LAW)
    with torch.inference_mode():
        adapted, trial, loaded = (
            classifier(noisy).argmax(1)
            for classifier in (variant.executable, variant.trial, model.classifier)
        )
    assert float((adapted == trial).double().mean()) >= 0.95
    assert float((adapted == loaded).double().mean()) < 0.5
    assert variant.executable.dtype == model.classifier.dtype


def test_variants_are_kept_until_others_need_the_place(model: LoadedModel, redis: Redis) -> None:
    """The one that was not used for longest goes; what comes back is bit for bit the same function."""
    variants = Variants(SharedStatistics(redis), capacity=2)
    other = replace(LAW, noise=Gaussian(0.25))
    first = variants.get(model, LAW)
    variants.get(model, None)
    assert variants.get(model, LAW) is first
    variants.get(model, other)
    assert variants.get(model, LAW) is first
    variants.get(model, None)
    variants.get(model, other)
    again = variants.get(model, LAW)
    assert again is not first
    assert again.digest == first.digest
    assert variants.get(model, other).digest != first.digest


def test_int8_that_votes_otherwise_is_not_used_for_that_variant(
    model: LoadedModel, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next precision is; unless the operator insists on int8, who hears why it cannot be."""
    if model.classifier.dtype != "int8":
        pytest.skip("this CPU or installation has no int8")
    monkeypatch.setattr(checks, "LEAST_AGREEMENT", 1.01)
    variant = Variants(SharedStatistics(redis), capacity=2).get(model, LAW)
    assert variant.executable.dtype in ("bfloat16", "float32")
    insisting = replace(model, dtype_asked="int8")
    with pytest.raises(BackendError, match=r"'dtype' int8 must vote like float32"):
        _ = Variants(SharedStatistics(redis), capacity=2).get(insisting, LAW).executable


def test_a_smaller_batch_is_remembered(model: LoadedModel, redis: Redis) -> None:
    """For the jobs that come after; the loaded model stays as it is."""
    variants = Variants(SharedStatistics(redis), capacity=2)
    before = model.classifier.batch_size
    variants.get(model, None).shrink(7)
    assert variants.get(model, None).executable.batch_size == 7
    assert model.classifier.batch_size == before


def test_statistics_in_use_are_kept_in_the_store_and_put_back(
    model: LoadedModel, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a worker that comes later uses the same bits, however long ago they were estimated."""
    variants = Variants(SharedStatistics(redis), capacity=2)
    first = variants.get(model, LAW)
    key = keys.statistics(model.digest, LAW.name)
    stored = redis.get(key)
    redis.expire(key, 100)
    assert variants.get(model, LAW) is first
    assert redis.ttl(key) <= 100  # the store is not asked at every use
    monkeypatch.setattr("certifier.variants._CONFIRM_SECONDS", 0.0)
    assert variants.get(model, LAW) is first
    assert redis.ttl(key) > 100
    redis.delete(key)
    assert variants.get(model, LAW) is first
    assert redis.get(key) == stored


def test_statistics_that_another_worker_published_first_win(
    model: LoadedModel, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the store was lost, whoever comes first decides again, also for those that have others."""
    monkeypatch.setattr("certifier.variants._CONFIRM_SECONDS", 0.0)
    variants = Variants(SharedStatistics(redis), capacity=2)
    first = variants.get(model, LAW)
    key = keys.statistics(model.digest, LAW.name)
    tensors = safetensors.torch.load(redis.get(key))  # type: ignore[arg-type]
    name = next(name for name in tensors if name.endswith("running_mean"))
    tensors[name] = tensors[name] + 2.0**-20
    redis.set(key, safetensors.torch.save(tensors))
    second = variants.get(model, LAW)
    assert second is not first
    assert second.digest not in (None, first.digest)
    assert variants.get(model, LAW) is second


def test_replaced_statistics_are_not_used_although_the_replacement_fails(
    model: LoadedModel, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the store goes away in between: the next use, however soon, asks it again."""
    variants = Variants(SharedStatistics(redis), capacity=2)
    first = variants.get(model, LAW)
    key = keys.statistics(model.digest, LAW.name)
    tensors = safetensors.torch.load(redis.get(key))  # type: ignore[arg-type]
    name = next(name for name in tensors if name.endswith("running_mean"))
    tensors[name] = tensors[name] + 2.0**-20
    redis.set(key, safetensors.torch.save(tensors))
    with monkeypatch.context() as patch:
        patch.setattr("certifier.variants._CONFIRM_SECONDS", 0.0)
        patch.setattr("certifier.variants.with_statistics", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            variants.get(model, LAW)
    second = variants.get(model, LAW)
    assert second is not first
    assert second.digest == Statistics(tensors).digest
