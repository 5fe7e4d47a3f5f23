"""What the engine does with one job, in order: load, recall, certify under each noise, reconcile, commit."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from redis import Redis
from torch import Tensor

from contract import keys
from contract.certificates import Certificate, Prediction
from contract.choices import JobKind, ProblemCode, Stage
from contract.keys import pixel_digest
from contract.metrics import CERTIFICATES, COMMIT_CONFLICTS, JOBS, VOTES
from contract.tasks import PAYLOAD_VERSION, CertifyTask, PredictTask
from models.backends import BackendError
from smoothing import NotAdaptable, Observer, predict
from smoothing.errors import UnusableClassifier
from smoothing.regions import BrokenInvariant
from workers.failures import Abandoned, JobFailure, Superseded
from workers.job import answers
from workers.job.branch import BranchPlan, BranchRun, plans
from workers.job.checkpoint import Checkpoint
from workers.job.progress import Watch
from workers.job.shelf import Resident, Shelf
from workers.job.statistics import AdaptationLaw
from workers.job.variants import Variants
from workers.memory.commit import Agreement, Outcome, commit, is_committed
from workers.memory.mirrors import Mirrors
from workers.memory.placing import NO_RADIUS, Finding, Placed, unremembered
from workers.memory.recall import Recall
from workers.memory.store import MemoryDamaged
from workers.metrics import WorkerMetrics
from workers.tracing import span


class Pipeline:
    """Everything a job needs: the models, the memories and the store."""

    def __init__(
        self, shelf: Shelf, variants: Variants, mirrors: Mirrors, redis: Redis, metrics: WorkerMetrics
    ) -> None:
        self._shelf = shelf
        self._metrics = metrics
        self.votes_per_second: dict[str, float] = {}
        self._redis = redis
        self._variants = variants
        self._mirrors = mirrors

    def run(self, kind: str, payload: Mapping[str, Any], watch: Watch) -> dict[str, str]:
        """Answers one job; returns a pointer to the answer.

        Raises:
            JobFailure: The job cannot succeed; the client is told why.
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
            if kind == "certify":
                return self._certify(CertifyTask.model_validate(payload), watch)
            return self._predict(PredictTask.model_validate(payload), watch)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise JobFailure(ProblemCode.OUT_OF_MEMORY, "not even one image fits the device") from error
        except UnusableClassifier as error:
            raise JobFailure(ProblemCode.UNUSABLE_CLASSIFIER, str(error)) from error
        except NotAdaptable as error:
            raise JobFailure(ProblemCode.NOT_ADAPTABLE, str(error)) from error
        except (MemoryDamaged, BrokenInvariant) as error:
            raise JobFailure(ProblemCode.MEMORY_DAMAGED, str(error)) from error
        except BackendError as error:
            raise JobFailure(ProblemCode.MODEL_LOAD_FAILED, str(error)) from error

    def _certify(self, task: CertifyTask, watch: Watch) -> dict[str, str]:
        key = keys.certificate(task.job_id)
        answer = {"certificate": task.job_id}
        if is_committed(self._redis, key):
            return answer
        resident, pixels = self._prepare(task, watch)
        image = _as_image(pixels, resident)
        base_class = _base_class(resident, image)
        recall = self._recall(task, resident, pixels, watch)
        if recall is not None:
            with span("recall"):
                earlier = recall.answered(task, self._redis)
            if earlier is not None:
                self._commit(task, key, answers.repeated(task, *earlier), watch)
                return answer
        checkpoint = Checkpoint(self._redis, task.job_id)
        run = BranchRun(task, resident, image, self._variants, watch, checkpoint)
        started = time.perf_counter()
        wanted = plans(task)
        branches = [run.run(plan, branches_left=len(wanted) - done) for done, plan in enumerate(wanted)]
        seconds = time.perf_counter() - started
        verdict = answers.verdict(branches)

        def certificate(placed: Placed) -> Certificate:
            return answers.certificate(task, resident, branches, verdict, placed, base_class, seconds)

        if recall is None:
            self._commit(task, key, certificate(unremembered(verdict.finding)), watch)
        else:
            self._remember(task, recall, verdict.finding, certificate, watch)
        checkpoint.clear()
        return answer

    def _remember(
        self,
        task: CertifyTask,
        recall: Recall,
        finding: Finding,
        certificate: Callable[[Placed], Certificate],
        watch: Watch,
    ) -> None:
        """Reconciles and commits, again after every region that another worker commits in between.

        That holds also for what adds no region: it may lie in the new one.
        """
        watch.stage(Stage.REMEMBERING, total=0)
        placement = recall.placement(task.question.asked.noise, finding)
        outcome = Outcome.CONFLICT
        while outcome is Outcome.CONFLICT:
            placed = placement.place(recall.on_load)
            answer = certificate(placed)
            outcome = self._commit(
                task,
                keys.certificate(task.job_id),
                answer,
                watch,
                recall.addition(task, placed, answer.created_at),
            )

    def _predict(self, task: PredictTask, watch: Watch) -> dict[str, str]:
        key = keys.prediction(task.job_id)
        if is_committed(self._redis, key):
            return {"prediction": task.job_id}
        resident, pixels = self._prepare(task, watch)
        image = _as_image(pixels, resident)
        base_class = _base_class(resident, image)
        recall = self._recall(task, resident, pixels, watch)
        branches: list[answers.PredictedBranch] = []
        seconds = 0.0
        outcome = Outcome.CONFLICT
        while outcome is Outcome.CONFLICT:
            held = _held(recall)  # again, when votes were made since, or another worker committed a region
            if held.label is not None:
                answer = answers.remembered(task, resident, held, branches, base_class, seconds)
            elif branches:
                answer = answers.prediction(task, resident, branches, held.memory, base_class, seconds)
            else:
                started = time.perf_counter()
                branches = [self._vote(task, plan, resident, image, watch) for plan in plans(task)]
                seconds = time.perf_counter() - started
                continue
            agreement = None if recall is None else recall.agreement(held)
            outcome = self._commit(task, key, answer, watch, agreement)
        return {"prediction": task.job_id}

    def _recall(
        self, task: CertifyTask | PredictTask, resident: Resident, pixels: bytes, watch: Watch
    ) -> Recall | None:
        if task.question.resolved.memory is None:
            return None
        mirror = self._mirrors.get(resident.digest, task.question.resolved.memory, resident.card.input_shape)
        return Recall(mirror, task.question.resolved.memory, task.image_digest, pixels, watch)

    def _vote(
        self, task: PredictTask, plan: BranchPlan, resident: Resident, image: Tensor, watch: Watch
    ) -> answers.PredictedBranch:
        noise = plan.noise(plan.sigma)
        law = (
            AdaptationLaw(noise, task.question.resolved.momentum, task.question.resolved.clean_size)
            if task.question.resolved.adapt
            else None
        )
        variant = self._variants.get(resident, law)
        with span("adapt"):
            classifier = variant.executable
        watch.stage(Stage.SAMPLING, total=task.question.resolved.n)

        class Reporting(Observer):
            def on_progress(self, completed: int, planned: int) -> None:
                del planned
                watch.advance(completed)

        with span("sample"), classifier.alone():
            smoothed = predict(
                classifier,
                image,
                noise,
                n=task.question.resolved.n,
                alpha=plan.alpha,
                batch_size=classifier.batch_size,
                seed=plan.seed,
                observer=Reporting(),
            )
        return answers.PredictedBranch(plan.kind, noise, smoothed, variant.digest, classifier)

    def _prepare(self, task: CertifyTask | PredictTask, watch: Watch) -> tuple[Resident, bytes]:
        """Returns the model and the pixels."""
        watch.stage(Stage.LOADING, total=0)
        with span("load"):
            resident = self._shelf.load(task.model)
        if resident.digest != task.model_digest:
            raise JobFailure(
                ProblemCode.MODEL_CHANGED,
                f"'{task.model}' was {task.model_digest} when it was asked for and is {resident.digest} now",
            )
        channels, height, width = resident.card.input_shape
        pixels = self._redis.get(keys.image(task.image_digest))
        if not isinstance(pixels, bytes):
            raise JobFailure(ProblemCode.IMAGE_EXPIRED, "send the image again")
        if pixel_digest(pixels, height, width, channels) != task.image_digest:
            raise JobFailure(ProblemCode.INTERNAL_ERROR, "the stored image is not the one that was sent")
        return resident, pixels

    def _commit(
        self,
        task: CertifyTask | PredictTask,
        key: str,
        answer: Certificate | Prediction,
        watch: Watch,
        agreement: Agreement | None = None,
    ) -> Outcome:
        json = answer.model_dump_json()
        with span("commit"):
            outcome = commit(
                self._redis, task.job_id, key, json, watch.progress, agreement, attempt=watch.attempt
            )
        if outcome in (Outcome.CANCELLED, Outcome.FAILED):
            raise Abandoned(task.job_id)
        if outcome is Outcome.STALE:
            raise Superseded(task.job_id)
        if outcome is Outcome.CONFLICT:
            self._metrics.add(COMMIT_CONFLICTS, task.model)
        elif outcome is Outcome.OK:
            self._count(answer)
        return outcome

    def _count(self, answer: Certificate | Prediction) -> None:
        """Counts an answer that was committed: once, however often its job was tried."""
        kind = JobKind.CERTIFY if isinstance(answer, Certificate) else JobKind.PREDICT
        self._metrics.add(JOBS, kind.value, answer.model, "succeeded", "")
        if answer.compute.samples:
            self._metrics.add(VOTES, answer.model, by=answer.compute.samples)
            self.votes_per_second[answer.model] = answer.compute.samples_per_second
        if isinstance(answer, Certificate):
            outcome = "abstained" if answer.abstained else "certified"
            self._metrics.add(CERTIFICATES, answer.model, outcome, answer.memory.outcome.value)


def _held(recall: Recall | None) -> Placed:
    """What the memory's regions say of the image by now."""
    if recall is None:
        return unremembered(Finding(None, NO_RADIUS))
    with span("recall"):
        return recall.held()


def _as_image(pixels: bytes, resident: Resident) -> Tensor:
    """Returns the image ``(c, h, w)`` in pixel scale [0, 1] on the model's device."""
    channels, height, width = resident.card.input_shape
    array = np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, channels)
    image = torch.from_numpy(array.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
    return image.to(resident.classifier.device)


def _base_class(resident: Resident, image: Tensor) -> int:
    """The original classifier's own answer, without noise."""
    with torch.inference_mode():
        return int(resident.classifier(image.unsqueeze(0)).argmax(dim=1).item())
