"""What the engine does with one job, in order: load, recall, compute, reconcile, commit."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import torch
from redis import Redis

import certifier
from certifier import Findings, Identity, LoadedModel, Predictions, Statement, Variants
from contract import keys
from contract.certificates import Radius
from contract.choices import JobKind, NoiseKind, ProblemCode, Stage
from contract.keys import pixel_digest
from contract.tasks import PAYLOAD_VERSION, CertifyTask, PredictTask, Task
from models.backends import BackendError
from smoothing import NotAdaptable, UnusableClassifier
from smoothing.regions import BrokenInvariant
from workers.failures import JobFailure
from workers.job.answers import Answers
from workers.job.checkpoint import Checkpoint
from workers.job.loaded_models import LoadedModels
from workers.job.progress import JobProgress
from workers.memory.commit import CommitOutcome
from workers.memory.mirror import Mirrors, as_image
from workers.memory.recall import Recall
from workers.memory.store import MemoryDamaged
from workers.metrics import WorkerMetrics
from workers.tracing import span

# The problem that a client sees when the computation raises. Any other error is an internal one.
_CODES: Final[Mapping[type[Exception], ProblemCode]] = {
    UnusableClassifier: ProblemCode.UNUSABLE_CLASSIFIER,
    NotAdaptable: ProblemCode.NOT_ADAPTABLE,
    MemoryDamaged: ProblemCode.MEMORY_DAMAGED,
    BrokenInvariant: ProblemCode.MEMORY_DAMAGED,
    BackendError: ProblemCode.MODEL_LOAD_FAILED,
}


class Pipeline:
    """Everything a job needs: the models, the memories and the store."""

    def __init__(
        self, models: LoadedModels, variants: Variants, mirrors: Mirrors, redis: Redis, metrics: WorkerMetrics
    ) -> None:
        self._models = models
        self._variants = variants
        self._mirrors = mirrors
        self._redis = redis
        self.answers = Answers(redis, metrics)

    def run(self, kind: str, payload: Mapping[str, Any], progress: JobProgress) -> dict[str, str]:
        """Answers one job; returns a pointer to the answer.

        Raises:
            JobFailure: The job cannot succeed; the problem says why.
            Abandoned: The client has cancelled, or the relay is gone.
            Superseded: A later attempt has begun.
        """
        version = payload["version"]
        if version != PAYLOAD_VERSION:
            raise JobFailure(
                ProblemCode.INTERNAL_ERROR,
                f"this worker reads payloads of version {PAYLOAD_VERSION}, got {version!r}",
            )
        try:
            if kind == JobKind.CERTIFY:
                return self._certify(CertifyTask.model_validate(payload), progress)
            return self._predict(PredictTask.model_validate(payload), progress)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise JobFailure(ProblemCode.OUT_OF_MEMORY, "not even one image fits the device") from error
        except tuple(_CODES) as error:
            code = next(code for expected, code in _CODES.items() if isinstance(error, expected))
            raise JobFailure(code, str(error)) from error

    def _certify(self, task: CertifyTask, progress: JobProgress) -> dict[str, str]:
        pointer = {"certificate": task.job_id}
        if self.answers.has(task):
            return pointer
        model, pixels = self._load(task, progress)
        recall = self._recall(task, model, pixels, progress)
        if recall is not None:
            earlier = recall.answered(task, self._redis)
            if earlier is not None:
                kept, memory = earlier
                answer = certifier.repeated_certificate(kept, task.question, _identity(task), memory)
                self.answers.commit(task, answer, progress)
                return pointer
        progress.stated = partial(_stated, recall, task.question.asked.noise)
        checkpoint = Checkpoint(self._redis, task.job_id)
        findings = certifier.certify(
            model.image(as_image(pixels, model.card.input_shape)),
            model,
            task.question,
            variants=self._variants,
            observer=progress,
            keeper=checkpoint,
        )
        if recall is None:
            self.answers.commit(task, certifier.certificate(findings, _identity(task)), progress)
        else:
            self._remember(task, recall, findings, progress)
        checkpoint.clear()
        return pointer

    def _remember(self, task: CertifyTask, recall: Recall, findings: Findings, progress: JobProgress) -> None:
        """Reconciles and commits, again after every region that another worker commits in between.

        That holds also for what adds no region: it may lie in the new one.
        """
        progress.stage(Stage.REMEMBERING, total=0)
        placement = recall.placement(task.question.asked.noise, findings.verdict.finding)
        outcome = CommitOutcome.CONFLICT
        while outcome is CommitOutcome.CONFLICT:
            placed = placement.place(recall.on_load)
            answer = certifier.certificate(findings, _identity(task), placed)
            outcome = self.answers.commit(
                task, answer, progress, recall.addition(task, placed, answer.created_at)
            )

    def _predict(self, task: PredictTask, progress: JobProgress) -> dict[str, str]:
        pointer = {"prediction": task.job_id}
        if self.answers.has(task):
            return pointer
        model, pixels = self._load(task, progress)
        image = model.image(as_image(pixels, model.card.input_shape))
        base_class, identity = model.original_class(image), _identity(task)
        recall = self._recall(task, model, pixels, progress)
        found: Predictions | None = None
        outcome = CommitOutcome.CONFLICT
        while outcome is CommitOutcome.CONFLICT:
            # Again, when votes were made since, or another worker committed a region.
            held = None if recall is None else recall.held()
            if found is None and (held is None or held.label is None):
                found = certifier.predict(
                    image, model, task.question, variants=self._variants, observer=progress
                )
                continue
            answer = certifier.prediction(task.question, model, base_class, identity, found=found, held=held)
            agreement = None if recall is None or held is None else recall.agreement(held)
            outcome = self.answers.commit(task, answer, progress, agreement)
        return pointer

    def _recall(self, task: Task, model: LoadedModel, pixels: bytes, progress: JobProgress) -> Recall | None:
        """The memory that was asked for, as this image sees it."""
        namespace = task.question.resolved.memory
        if namespace is None:
            return None
        mirror = self._mirrors.get(model.digest, namespace, model.card.input_shape)
        return Recall(mirror, namespace, task.image_digest, pixels, progress)

    def _load(self, task: Task, progress: JobProgress) -> tuple[LoadedModel, bytes]:
        """Returns the model, and the pixels as they travel."""
        progress.stage(Stage.LOADING, total=0)
        with span("load"):
            model = self._models.load(task.model)
        if model.digest != task.model_digest:
            raise JobFailure(
                ProblemCode.MODEL_CHANGED,
                f"'{task.model}' was {task.model_digest} when it was asked for and is {model.digest} now",
            )
        channels, height, width = model.card.input_shape
        pixels = self._redis.get(keys.image(task.image_digest))
        if not isinstance(pixels, bytes):
            raise JobFailure(ProblemCode.IMAGE_EXPIRED, "send the image again")
        if pixel_digest(pixels, height, width, channels) != task.image_digest:
            raise JobFailure(ProblemCode.INTERNAL_ERROR, "the stored image is not the one that was sent")
        return model, pixels


def _stated(recall: Recall | None, noise: NoiseKind, label: int, radius: Radius) -> float:
    """What may be stated of votes' class and radii, in the noise's own norm: a memory may leave less."""
    if recall is not None:
        radius = recall.placement(noise, Statement(label, radius)).place().radius
    return radius.of(noise)


def _identity(task: Task) -> Identity:
    return Identity(task.job_id, task.image_digest, task.upload_digest)
