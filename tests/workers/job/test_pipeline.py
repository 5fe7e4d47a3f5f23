"""What a job's answer owes to the memory, however other workers write to it meanwhile: the real engine's pipeline."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest
from redis import Redis

import certifier
from certifier import Identity, LoadedModel, Record, Statement, StatisticsHere, Variants, VoteSetting
from contract import keys
from contract.certificates import Certificate, PredictedLabel, Radius
from contract.choices import MemoryOutcome, NoiseKind, Stage
from contract.jobs import Progress
from contract.keys import pixel_digest
from contract.limits import minimum_samples
from contract.tasks import CertifyTask
from service.verification.evidence import evidence_checks
from smoothing.votes import Segment, Votes
from tests.support.tasks import certify_task, predict_task
from workers.job.checkpoint import Checkpoint
from workers.job.loaded_models import LoadedModels, find_models
from workers.job.pipeline import Pipeline
from workers.job.progress import JobProgress
from workers.job.shared_statistics import SharedStatistics
from workers.memory.commit import CommitOutcome, commit
from workers.memory.mirror import Mirrors
from workers.memory.placement import Placed
from workers.memory.recall import Recall
from workers.metrics import WorkerMetrics
from workers.settings import WorkerSettings

MODEL = "fashion-mnist-gaussian"
FORCED = 0.5
"""Radius of the regions that another worker commits; 5/255 in one pixel is well inside."""


@pytest.fixture(scope="module")
def models() -> LoadedModels:
    return find_models(WorkerSettings(device="cpu", backend="eager"))


@pytest.fixture(scope="module")
def model(models: LoadedModels) -> LoadedModel:
    return models.load(MODEL)


@pytest.fixture(scope="module")
def picture(model: LoadedModel) -> bytes:
    assert model.bundle.clean is not None
    return np.ascontiguousarray(model.bundle.clean[0].transpose(1, 2, 0)).tobytes()


class Meddled(Redis):
    """A client that lets somebody else act just before it commits."""

    meddle: Callable[[], object] | None = None

    def eval(self, *arguments: Any) -> Any:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return super().eval(*arguments)


class Interrupted(JobProgress):
    """Progress that lets somebody else act as the votes begin."""

    meddle: Callable[[], object] | None = None

    def stage(self, stage: Stage, total: int) -> None:
        super().stage(stage, total)
        meddle = self.meddle
        if stage is Stage.SAMPLING and meddle is not None:
            self.meddle = None
            meddle()


class Worker:
    """One engine's pipeline, and what it is asked."""

    def __init__(self, redis: Redis, url: str, models: LoadedModels, model: LoadedModel) -> None:
        self.redis = redis
        self.own = Meddled.from_url(url, single_connection_client=True)
        self.shape = model.card.input_shape
        self.digest = model.digest
        self.dtype = model.classifier.dtype
        variants = Variants(SharedStatistics(self.own), capacity=2)
        self.pipeline = Pipeline(models, variants, Mirrors(self.own, 8), self.own, WorkerMetrics())
        self.ends = Pipe()

    def progress(self, job_id: str) -> Interrupted:
        return Interrupted(self.redis, job_id, self.ends[0])

    def fields(self, job_id: str, pixels: bytes, **fields: Any) -> dict[str, Any]:
        channels, height, width = self.shape
        digest = pixel_digest(pixels, height, width, channels)
        self.redis.set(keys.image(digest), pixels)
        shared = {
            "job_id": job_id, "model": MODEL, "model_digest": self.digest, "image_digest": digest,
            "sigma": 0.25, "sigma_uniform": 0.25, "n": 200, "memory": "default", "seed": "1",
        }  # fmt: skip
        return shared | fields

    def predict(
        self, job_id: str, pixels: bytes, progress: JobProgress | None = None, **fields: Any
    ) -> PredictedLabel:
        task = predict_task(**self.fields(job_id, pixels, **fields))
        self.pipeline.run("predict", task.model_dump(mode="json"), progress or self.progress(job_id))
        return PredictedLabel.model_validate_json(self.redis.get(keys.prediction(job_id)))  # type: ignore[arg-type]

    def certify_task(self, job_id: str, pixels: bytes, **fields: Any) -> CertifyTask:
        return certify_task(**self.fields(job_id, pixels, **({"n0": 50} | fields)))

    def certify(
        self, job_id: str, pixels: bytes, progress: JobProgress | None = None, **fields: Any
    ) -> Certificate:
        task = self.certify_task(job_id, pixels, **fields)
        self.pipeline.run("certify", task.model_dump(mode="json"), progress or self.progress(job_id))
        return Certificate.model_validate_json(self.redis.get(keys.certificate(job_id)))  # type: ignore[arg-type]

    def another_certifies(self, job_id: str, pixels: bytes, label: int, radius: float = FORCED) -> Placed:
        """Another worker's last step, whatever its votes were."""
        progress = self.progress(job_id)
        mirror = Mirrors(self.redis, 8).get(self.digest, "default", self.shape)
        task = self.certify_task(job_id, pixels)
        recall = Recall(mirror, "default", task.image_digest, pixels, progress)
        found = Statement(label, Radius(l2=radius, l1=radius, linf=radius / 28))
        placed = recall.placement(NoiseKind.GAUSSIAN, found).place()
        agreement = recall.addition(task, placed, datetime.now(UTC))
        outcome = commit(self.redis, job_id, keys.certificate(job_id), job_id, progress.progress, agreement)
        assert outcome is CommitOutcome.OK
        return placed


@pytest.fixture
def worker(redis: Redis, redis_url: str, models: LoadedModels, model: LoadedModel) -> Iterator[Worker]:
    made = Worker(redis, redis_url, models, model)
    yield made
    made.own.close()


def beside(picture: bytes) -> bytes:
    """A picture 5/255 away."""
    first = picture[0]
    return bytes([first + 5 if first < 128 else first - 5]) + picture[1:]


def test_a_prediction_agrees_with_a_region_committed_while_it_sampled(worker: Worker, picture: bytes) -> None:
    """The votes say one class, and the region that came in between another: the region was promised."""
    voted = worker.predict("1" * 32, picture).label
    assert voted is not None
    other = (voted.index + 1) % 10
    progress = worker.progress("2" * 32)
    progress.meddle = lambda: worker.another_certifies("b" * 32, beside(picture), other)
    answer = worker.predict("2" * 32, picture, progress)
    assert answer.label is not None
    assert answer.label.index == other
    assert (answer.memory.outcome, answer.memory.neighbours) == (MemoryOutcome.REPEATED, [0])
    assert (answer.noise, answer.compute.samples) == ([], 200)  # the votes were made, and decide nothing


@pytest.mark.parametrize("far", [False, True])
def test_a_prediction_is_committed_only_to_the_memory_that_it_agrees_with(
    worker: Worker, picture: bytes, far: bool
) -> None:
    """A region that comes between the last look and the commit is seen, whether it decides or not."""
    voted = worker.predict("1" * 32, picture).label
    assert voted is not None
    other = (voted.index + 1) % 10
    center = bytes(len(picture)) if far else beside(picture)
    worker.own.meddle = lambda: worker.another_certifies("b" * 32, center, other)
    answer = worker.predict("2" * 32, picture)
    assert answer.label is not None
    assert answer.label.index == (voted.index if far else other)
    assert (answer.memory.outcome is MemoryOutcome.NONE) is far
    assert answer.memory.epoch is not None  # that of the region


def test_a_prediction_votes_when_the_region_that_answered_it_is_gone(worker: Worker, picture: bytes) -> None:
    """The memory is wiped between the look and the commit: nothing is promised any more."""
    voted = worker.predict("1" * 32, picture).label
    assert voted is not None
    worker.another_certifies("b" * 32, beside(picture), (voted.index + 1) % 10)

    def wipe() -> None:
        worker.redis.delete(*worker.redis.scan_iter("radii:memory:*"))

    worker.own.meddle = wipe
    answer = worker.predict("2" * 32, picture)
    assert answer.label is not None
    assert answer.label.index == voted.index
    assert (answer.memory.outcome, answer.compute.samples) == (MemoryOutcome.NONE, 200)


def test_an_abstention_is_committed_only_to_the_memory_that_it_agrees_with(
    worker: Worker, picture: bytes
) -> None:
    """Ten votes of which not all agree separate no class; a region that came in between gives its own."""
    hopeless = {"n": 10, "sigma": 2.0, "seed": "2"}
    before = worker.certify("1" * 32, picture, **hopeless)
    assert (before.abstained, before.memory.outcome) == (True, MemoryOutcome.NONE)
    worker.own.meddle = lambda: worker.another_certifies("b" * 32, beside(picture), 3)
    after = worker.certify("2" * 32, picture, **hopeless)
    assert after.label is not None
    assert (after.label.index, after.memory.outcome) == (3, MemoryOutcome.RELABELLED)
    assert after.memory.index is None


@pytest.mark.parametrize("same", [False, True])
def test_a_growing_radius_is_what_the_memory_leaves(worker: Worker, picture: bytes, same: bool) -> None:
    """Beside a region of another label it stops at that region; inside one it is what that region leaves."""
    voted = worker.certify("1" * 32, picture, memory=None, n=2000).label
    assert voted is not None
    label = voted.index if same else (voted.index + 1) % 10
    worker.another_certifies("b" * 32, beside(picture), label, radius=0.3 if same else 0.01)
    answer = worker.certify("2" * 32, picture, n=2000)
    events = [
        Progress.model_validate_json(fields[b"progress"])
        for _, fields in worker.redis.xrange(keys.events("2" * 32))
        if b"progress" in fields
    ]
    radii = [event.radius_so_far for event in events if event.radius_so_far is not None]
    assert radii == sorted(radii)
    assert 0 < radii[-1] == answer.radius.l2
    assert answer.memory.outcome is (MemoryOutcome.ADDED if same else MemoryOutcome.CLIPPED)


def test_a_repeated_certificate_speaks_of_the_epoch_that_it_names(worker: Worker, picture: bytes) -> None:
    """After regions were lost, the certificate that is still there is repeated in another epoch."""
    first = worker.certify("1" * 32, picture)
    before = {name: worker.redis.dump(name) for name in worker.redis.scan_iter("radii:memory:*")}
    worker.another_certifies("b" * 32, bytes(len(picture)), 3, radius=0.1)
    worker.predict("2" * 32, picture)  # this engine has read both regions
    for name, content in before.items():
        worker.redis.restore(name, 0, content, replace=True)  # type: ignore[arg-type]
    again = worker.certify("3" * 32, picture)
    assert again.memory.outcome is MemoryOutcome.REPEATED
    assert again.memory.epoch not in (None, first.memory.epoch)
    assert f"of epoch {again.memory.epoch}" in again.claim
    assert again.claim == first.claim.replace(str(first.memory.epoch), str(again.memory.epoch))


def test_selection_votes_end_with_the_time_too(worker: Worker, picture: bytes) -> None:
    """Ten million of them would take hours; the certificate says how many were made."""
    answer = worker.certify("1" * 32, picture, n0=10_000_000, n=10_000_000, max_seconds=1.0)
    (evidence,) = answer.noise
    assert 10_000_000 > evidence.n0 == sum(evidence.selection_counts) >= 100
    assert minimum_samples(evidence.looks[-1].alpha) <= evidence.n_planned < 10_000_000
    assert all(check.passed for check in evidence_checks(answer, evidence))


@pytest.mark.parametrize(("device", "pooled"), [("cpu", True), ("cuda", False)])
def test_votes_of_another_kind_of_device_are_not_gone_on_with(
    worker: Worker, picture: bytes, device: str, pooled: bool
) -> None:
    """Kernels round differently, so they are votes about another function, in whatever precision."""
    asked = worker.certify_task("1" * 32, picture, n=300)
    votes = Votes(
        selection_counts=np.array([50, *[0] * 9]),
        counts=np.array([100, *[0] * 9]),
        selection_segments=(Segment("selection", 50, 50),),
        segments=(Segment("estimation", 100, 50),),
    )
    setting = VoteSetting(0.25, 50, 300, None, "eager", device, worker.dtype)
    Checkpoint(worker.redis, asked.job_id).write("gaussian", Record(setting, (), votes), now=True)
    answer = worker.certify(asked.job_id, picture, n=300)
    assert answer.compute.samples == (200 if pooled else 350)


def test_a_second_attempt_has_only_the_time_that_is_left(worker: Worker, picture: bytes) -> None:
    """The first one worked for longer than was asked."""
    asked = worker.certify_task("1" * 32, picture, n=10_000_000, max_seconds=5.0)
    content = {"version": 3, "seconds": 6.0, "noises": {}}
    worker.redis.set(keys.votes(asked.job_id), json.dumps(content))
    answer = worker.certify(asked.job_id, picture, n=10_000_000, max_seconds=5.0)
    assert answer.noise[0].n_planned == minimum_samples(0.001)


@pytest.mark.parametrize(
    "fields",
    [
        {"sigma": 0.5},
        {"noise": "hybrid", "sigma_uniform": 0.5},
        {"noise_level": "auto", "sigma_grid": [0.25, 0.5]},
        {"noise_level": "optimize"},
        {"adapt": True, "clean_size": 64},
        {"target_radius": 0.1},
    ],
)
def test_a_worker_certifies_what_a_plain_call_does(
    worker: Worker, model: LoadedModel, picture: bytes, fields: dict[str, Any]
) -> None:
    """The same certificate, but for its time: without Redis, a queue or a job."""
    asked = {"memory": None, "seed": "5", **fields}
    of_worker = worker.certify("1" * 32, picture, **asked)
    task = worker.certify_task("1" * 32, picture, **asked)
    pixels = np.frombuffer(picture, dtype=np.uint8).reshape(model.card.input_shape)
    findings = certifier.certify(
        model.image(pixels), model, task.question, variants=Variants(StatisticsHere(), 4)
    )
    plain = certifier.certificate(findings, Identity(task.job_id, task.image_digest, task.upload_digest))
    about_time = {"created_at", "compute"}
    assert of_worker.model_dump(exclude=about_time) == plain.model_dump(exclude=about_time)
    assert of_worker.compute.samples == plain.compute.samples
