"""One job's dealings with the memory: what is known of its image, and what becomes known."""

from datetime import datetime

from redis import Redis

from certifier import Observer, Statement
from certifier.verdict import NO_RADIUS
from contract import keys
from contract.certificates import Certificate, Memory
from contract.choices import MemoryOutcome, NoiseKind, Stage
from contract.regions import StoredRegion
from contract.tasks import CertifyTask
from workers.memory.commit import Addition, Agreement
from workers.memory.mirror import Mirror
from workers.memory.placement import Placed, Placement


class Recall:
    """The memory, as one image sees it."""

    def __init__(
        self, mirror: Mirror, namespace: str, image_digest: str, pixels: bytes, observer: Observer
    ) -> None:
        self._mirror = mirror
        self._namespace = namespace
        self._image_digest = image_digest
        self._pixels = pixels
        self._observer = observer
        self._loading = 0
        self._holding = self.placement(NoiseKind.GAUSSIAN, Statement(None, NO_RADIUS))

    def on_load(self, done: int, total: int) -> None:
        """Reports how much of the memory is read."""
        if self._loading != total:
            self._observer.stage(Stage.REMEMBERING, total=total)
        self._observer.advance(done)
        self._loading = 0 if done == total else total

    def answered(self, task: CertifyTask, redis: Redis) -> tuple[Certificate, Memory] | None:
        """Returns the certificate that answers this very question about this very image, if it is kept.

        One whose label came from the memory does not count: its votes said something else.
        """
        with self._observer.span("recall"):
            self._mirror.sync(self.on_load)
        if task.question.asked.fresh:
            return None
        for index in reversed(self._mirror.same_question(self._image_digest, task.question_digest)):
            region = StoredRegion.model_validate_json(self._mirror.store.record(index))
            stored = redis.get(keys.certificate(region.certificate_id))
            if region.outcome is not MemoryOutcome.RELABELLED and isinstance(stored, bytes):
                earlier = Certificate.model_validate_json(stored)
                now = {"outcome": MemoryOutcome.REPEATED, "index": index, "epoch": self._mirror.head.epoch}
                return earlier, earlier.memory.model_copy(update=now)
        return None

    def held(self) -> Placed:
        """Returns what the regions that hold the image say of it by now; no label, if none does."""
        with self._observer.span("recall"):
            return self._holding.held(self.on_load)

    def placement(self, noise: NoiseKind, finding: Statement) -> Placement:
        """Returns the place of an answer about the image."""
        return Placement(self._mirror, self._namespace, self._mirror.image(self._pixels), noise, finding)

    def agreement(self, placed: Placed) -> Agreement:
        """Returns the state of the memory that an answer agrees with."""
        return Agreement(self._mirror.store, placed.head)

    def addition(self, task: CertifyTask, placed: Placed, created_at: datetime) -> Agreement:
        """Returns what the memory has to be, and to take in if anything, together with the certificate."""
        region = placed.region
        if region is None:
            return self.agreement(placed)
        record = StoredRegion(
            certificate_id=task.job_id,
            image_digest=self._image_digest,
            label=region.label,
            l2=region.l2,
            l1=region.l1,
            outcome=placed.memory.outcome,
            question=task.question_digest,
            created_at=created_at,
        )
        return Addition(
            self._mirror.store,
            placed.head,
            record.model_dump_json().encode(),
            self._image_digest,
            self._pixels,
        )
