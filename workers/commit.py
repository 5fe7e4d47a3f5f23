"""The one write that makes an answer true."""

from enum import StrEnum
from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

from contract import keys
from contract.choices import Stage
from contract.jobs import Progress
from contract.limits import CERTIFICATE_TTL, EVENTS_KEPT, RESULT_TTL

# A client that was told "cancelled" must never find an answer, and a second attempt must not write another.
_COMMIT: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 'CANCELLED' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'DUPLICATE' end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'progress', ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[5])
return 'OK'
"""


class Outcome(StrEnum):
    """What became of a commit."""

    OK = "OK"
    DUPLICATE = "DUPLICATE"
    CANCELLED = "CANCELLED"


def commit(redis: Redis, job_id: str, key: str, answer: str, progress: Progress) -> Outcome:
    """Stores an answer unless the job was cancelled or already has one; waits until it is on disk.

    Args:
        redis: A client that keeps to one connection: WAITAOF speaks of the writes of its own connection.
        job_id: The job.
        key: Where the answer is kept.
        answer: The answer as JSON.
        progress: The last event of the job.
    """
    done = progress.model_copy(update={"stage": Stage.DONE})
    reply = redis.eval(
        _COMMIT,
        3,
        keys.cancel(job_id),
        key,
        keys.events(job_id),
        answer,
        CERTIFICATE_TTL,
        EVENTS_KEPT,
        done.model_dump_json(),
        RESULT_TTL,
    )
    _wait_for_disk(redis)
    return Outcome(reply.decode() if isinstance(reply, bytes) else str(reply))


def _wait_for_disk(redis: Redis) -> None:
    try:
        redis.waitaof(1, 0, 2000)
    except ResponseError:
        # No append-only file, or a server older than 7.2: answers are kept no better than the queue is.
        return
