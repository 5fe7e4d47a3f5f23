"""The answers of jobs in Redis: each is committed and counted once, however often its job is tried."""

from redis import Redis

from contract import keys
from contract.certificates import Certificate, PredictedLabel
from contract.choices import JobKind
from contract.metrics import CERTIFICATES, COMMIT_CONFLICTS, JOBS, VOTES
from contract.tasks import Task
from workers.failures import Abandoned, Superseded
from workers.job.progress import JobProgress
from workers.memory.commit import Agreement, CommitOutcome, commit, is_committed
from workers.metrics import WorkerMetrics
from workers.tracing import span


class Answers:
    """Writes answers, and knows which jobs have one.

    Attributes:
        votes_per_second: Of the last answer of each model.
    """

    def __init__(self, redis: Redis, metrics: WorkerMetrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self.votes_per_second: dict[str, float] = {}

    def has(self, task: Task) -> bool:
        """Whether an earlier attempt has answered the job; true only once that is on disk."""
        return is_committed(self._redis, _key(task))

    def commit(
        self,
        task: Task,
        answer: Certificate | PredictedLabel,
        progress: JobProgress,
        agreement: Agreement | None = None,
    ) -> CommitOutcome:
        """Stores an answer, with the region that it adds to a memory, if any.

        Args:
            task: The job.
            answer: Its answer.
            progress: Of this attempt.
            agreement: The state of the memory that the answer agrees with.

        Returns:
            ``CONFLICT`` if the memory has changed since: then nothing is stored.

        Raises:
            Abandoned: The job was cancelled, or has failed by now.
            Superseded: A later attempt has begun.
        """
        with span("commit"):
            outcome = commit(
                self._redis,
                task.job_id,
                _key(task),
                answer.model_dump_json(),
                progress.progress,
                agreement,
                attempt=progress.attempt,
            )
        if outcome in (CommitOutcome.CANCELLED, CommitOutcome.FAILED):
            raise Abandoned(task.job_id)
        if outcome is CommitOutcome.STALE:
            raise Superseded(task.job_id)
        if outcome is CommitOutcome.CONFLICT:
            self._metrics.add(COMMIT_CONFLICTS, task.model)
        elif outcome is CommitOutcome.OK:
            self._count(task.kind, answer)
        return outcome

    def _count(self, kind: JobKind, answer: Certificate | PredictedLabel) -> None:
        self._metrics.add(JOBS, kind.value, answer.model, "succeeded", "")
        if answer.compute.samples:
            self._metrics.add(VOTES, answer.model, by=answer.compute.samples)
            self.votes_per_second[answer.model] = answer.compute.samples_per_second
        if isinstance(answer, Certificate):
            outcome = "abstained" if answer.abstained else "certified"
            self._metrics.add(CERTIFICATES, answer.model, outcome, answer.memory.outcome.value)


def _key(task: Task) -> str:
    return (keys.certificate if task.kind is JobKind.CERTIFY else keys.prediction)(task.job_id)
