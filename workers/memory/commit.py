"""The one write that makes an answer true: with the region that it adds to the memory, if any."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

from contract import keys
from contract.choices import Stage
from contract.jobs import Progress
from contract.limits import CERTIFICATE_TTL, EVENTS_KEPT, RESULT_TTL
from workers.memory.store import Head, RegionStore

# One script, because each check must still hold when the answer is written:
# - a job reported as cancelled or failed never gets an answer, and no second attempt writes another one;
# - an attempt that was wrongly presumed dead leaves the answer to the attempt after it;
# - an answer that agrees with a memory is stored, and its region appended, only if the log has not changed.
# EXPIRE on an answer that is there is a write, so that WAITAOF has something to wait for.
_COMMIT: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 'CANCELLED' end
if redis.call('EXPIRE', KEYS[2], ARGV[2]) == 1 then return 'DUPLICATE' end
if redis.call('EXISTS', KEYS[4]) == 1 then return 'FAILED' end
if (redis.call('GET', KEYS[5]) or ARGV[6]) ~= ARGV[6] then return 'STALE' end
if KEYS[6] then
  local state = redis.call('HMGET', KEYS[6], 'epoch', 'head')
  if (state[1] or ARGV[7]) ~= ARGV[7] or (state[2] or '') ~= ARGV[8] then return 'CONFLICT' end
  if redis.call('LLEN', KEYS[7]) ~= tonumber(ARGV[9]) then return 'CONFLICT' end
end
if KEYS[8] then
  redis.call('HSET', KEYS[8], ARGV[11], ARGV[12])
  redis.call('RPUSH', KEYS[7], ARGV[10])
  redis.call('HSET', KEYS[6], 'epoch', ARGV[7], 'head', redis.sha1hex(ARGV[8] .. ARGV[10]))
end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'progress', ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[5])
return 'OK'
"""


_DISK_SECONDS: Final = 30  # far above any fsync; RQ's own timeouts are longer


class CommitOutcome(StrEnum):
    """What became of a commit."""

    OK = "OK"
    CONFLICT = "CONFLICT"
    DUPLICATE = "DUPLICATE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    STALE = "STALE"


@dataclass(frozen=True)
class Agreement:
    """The state of a memory that an answer agrees with.

    Attributes:
        store: The memory.
        head: Its state; its epoch is that of the answer.
    """

    store: RegionStore
    head: Head


@dataclass(frozen=True)
class Addition(Agreement):
    """A region that is to be added to the memory.

    Attributes:
        record: The entry of the log.
        image_digest: Of the centre.
        pixels: The centre.
    """

    record: bytes
    image_digest: str
    pixels: bytes


def commit(
    redis: Redis,
    job_id: str,
    key: str,
    answer: str,
    progress: Progress,
    agreement: Agreement | None = None,
    *,
    attempt: int = 0,
) -> CommitOutcome:
    """Stores an answer unless the job is final or a later attempt has begun; waits until it is on disk.

    Args:
        redis: A client with one connection: WAITAOF covers the writes of its own connection only.
        job_id: The job.
        key: Where the answer is kept.
        answer: The answer as JSON.
        progress: The last event of the job.
        agreement: The memory that the answer agrees with, and the region that it adds, if any. If the memory
            has changed since, nothing is stored, and the outcome is a conflict.
        attempt: Its number, which must be that of the attempt that was begun last.
    """
    done = progress.model_copy(update={"stage": Stage.DONE})
    names = [keys.cancel(job_id), key, keys.events(job_id), keys.problem(job_id), keys.attempt(job_id)]
    values: list[str | bytes | int] = [
        answer,
        CERTIFICATE_TTL,
        EVENTS_KEPT,
        done.model_dump_json(),
        RESULT_TTL,
        attempt,
    ]
    if agreement is not None:
        head = agreement.head
        names += [agreement.store.head_key, agreement.store.log_key]
        values += [head.epoch or "", head.chain, head.length]
    if isinstance(agreement, Addition):
        names.append(agreement.store.centers_key)
        values += [agreement.record, agreement.image_digest, agreement.pixels]
    reply = redis.eval(_COMMIT, len(names), *names, *values)
    outcome = CommitOutcome(reply.decode() if isinstance(reply, bytes) else str(reply))
    if outcome is not CommitOutcome.CONFLICT:
        _wait_for_disk(redis)
    return outcome


def is_committed(redis: Redis, key: str) -> bool:
    """Whether an answer is there. If it is, waits until it is on disk: its writer may have died before that.

    Raises:
        TimeoutError: It is not on disk after `_DISK_SECONDS`.
    """
    # A write, for WAITAOF covers the writes of its own connection only.
    there = bool(redis.expire(key, CERTIFICATE_TTL))
    if there:
        _wait_for_disk(redis)
    return there


def _wait_for_disk(redis: Redis) -> None:
    """Wait until this connection's writes are in the append-only file.

    Raises:
        TimeoutError: They are not after `_DISK_SECONDS`; an answer that can still be lost must not be given.
    """
    try:
        on_disk, _ = redis.waitaof(1, 0, 1000 * _DISK_SECONDS)
    except ResponseError:
        # No append-only file, or a server older than 7.2: answers are kept no better than the queue is.
        return
    if on_disk < 1:
        raise TimeoutError(f"Redis has not written the answer to disk within {_DISK_SECONDS} seconds")
