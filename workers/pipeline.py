"""What the engine does with one job, in order: load, fetch the image, certify under each noise, commit."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from redis import Redis
from torch import Tensor

from contract import keys
from contract.choices import ProblemCode, Stage
from contract.images import pixel_digest
from contract.tasks import PAYLOAD_VERSION, CertifyTask, PredictTask
from models.backends import BackendError
from smoothing import NotAdaptable, predict
from smoothing.errors import UnusableClassifier
from workers import answers
from workers.branch import BranchPlan, BranchRun, plans
from workers.checkpoint import Checkpoint
from workers.commit import Outcome, commit
from workers.failures import Abandoned, JobFailure
from workers.shelf import Resident, Shelf
from workers.statistics import AdaptationLaw
from workers.variants import Variants
from workers.watch import Watch


class Pipeline:
    """Everything a job needs: the models and the store."""

    def __init__(self, shelf: Shelf, variants: Variants, redis: Redis) -> None:
        self._shelf = shelf
        self._redis = redis
        self._variants = variants

    def run(self, kind: str, payload: Mapping[str, Any], watch: Watch) -> dict[str, str]:
        """Answers one job; returns a pointer to the answer.

        Raises:
            JobFailure: The job cannot succeed; the client is told why.
            Abandoned: The client has cancelled, or the relay is gone.
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
        except BackendError as error:
            raise JobFailure(ProblemCode.MODEL_LOAD_FAILED, str(error)) from error

    def _certify(self, task: CertifyTask, watch: Watch) -> dict[str, str]:
        key = keys.certificate(task.job_id)
        if self._redis.exists(key):
            return {"certificate": task.job_id}
        resident, image = self._prepare(task, watch)
        checkpoint = Checkpoint(self._redis, task.job_id)
        run = BranchRun(task, resident, image, self._variants, watch, checkpoint)
        started = time.perf_counter()
        wanted = plans(task)
        branches = [run.run(plan, branches_left=len(wanted) - done) for done, plan in enumerate(wanted)]
        seconds = time.perf_counter() - started
        answer = answers.certificate(task, resident, branches, _base_class(resident, image), seconds)
        self._commit(task.job_id, key, answer.model_dump_json(), watch)
        checkpoint.clear()
        return {"certificate": task.job_id}

    def _predict(self, task: PredictTask, watch: Watch) -> dict[str, str]:
        key = keys.prediction(task.job_id)
        if self._redis.exists(key):
            return {"prediction": task.job_id}
        resident, image = self._prepare(task, watch)
        started = time.perf_counter()
        branches = [self._vote(task, plan, resident, image, watch) for plan in plans(task)]
        seconds = time.perf_counter() - started
        answer = answers.prediction(task, resident, branches, _base_class(resident, image), seconds)
        self._commit(task.job_id, key, answer.model_dump_json(), watch)
        return {"prediction": task.job_id}

    def _vote(
        self, task: PredictTask, plan: BranchPlan, resident: Resident, image: Tensor, watch: Watch
    ) -> answers.PredictedBranch:
        noise = plan.noise(plan.sigma)
        law = AdaptationLaw(noise, task.momentum, task.clean_size) if task.adapt else None
        variant = self._variants.get(resident, law)
        classifier = variant.executable
        watch.stage(Stage.SAMPLING, total=task.n)
        with classifier.alone():
            smoothed = predict(
                classifier,
                image,
                noise,
                num_classes=resident.num_classes,
                n=task.n,
                alpha=plan.alpha,
                batch_size=classifier.batch_size,
                seed=plan.seed,
                on_batch=lambda completed, _total: watch.advance(completed),
            )
        return answers.PredictedBranch(plan.kind, noise, smoothed, variant.digest, classifier)

    def _prepare(self, task: CertifyTask | PredictTask, watch: Watch) -> tuple[Resident, Tensor]:
        watch.stage(Stage.LOADING, total=0)
        resident = self._shelf.load(task.model)
        if resident.digest != task.model_digest:
            raise JobFailure(
                ProblemCode.MODEL_CHANGED,
                f"'{task.model}' was {task.model_digest} when it was asked for and is {resident.digest} now",
            )
        return resident, self._image(task, resident)

    def _image(self, task: CertifyTask | PredictTask, resident: Resident) -> Tensor:
        """Returns the image ``(c, h, w)`` in pixel scale [0, 1] on the model's device."""
        channels, height, width = resident.card.input_shape
        pixels = self._redis.get(keys.image(task.image_digest))
        if not isinstance(pixels, bytes):
            raise JobFailure(ProblemCode.IMAGE_EXPIRED, "send the image again")
        if pixel_digest(pixels, height, width, channels) != task.image_digest:
            raise JobFailure(ProblemCode.INTERNAL_ERROR, "the stored image is not the one that was sent")
        array = np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, channels)
        image = torch.from_numpy(array.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
        return image.to(resident.classifier.device)

    def _commit(self, job_id: str, key: str, answer: str, watch: Watch) -> None:
        if commit(self._redis, job_id, key, answer, watch.progress) is Outcome.CANCELLED:
            raise Abandoned(job_id)


def _base_class(resident: Resident, image: Tensor) -> int:
    """The original classifier's own answer, without noise."""
    with torch.inference_mode():
        return int(resident.classifier(image.unsqueeze(0)).argmax(dim=1).item())
