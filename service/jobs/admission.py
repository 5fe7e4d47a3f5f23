"""Admission to the queue: under the caps on waiting jobs, and once for each idempotency key.

It is one script on the server, which reads the key and the caps and only then writes. So parallel submissions
never exceed a cap, no key stands for a job that was not enqueued, and a submission that is sent again because
its answer was lost enqueues nothing twice. A full Redis refuses the whole script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from contract import keys
from contract.choices import ProblemCode
from contract.limits import IDEMPOTENCY_TTL, QUEUED_TTL
from contract.problems import refusal
from service.jobs.idempotency import Idempotency

# For a single server, as RQ is: a cluster would refuse the keys that are not among KEYS.
_SCRIPT: Final = """#!lua
local queue, submission, waiting, idempotency = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local job, cap, own_cap = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local fingerprint, lifetime, queued_for = ARGV[4], ARGV[5], ARGV[6]
local record, known_job = ARGV[7], ARGV[8]

-- The client library sends a script again when its answer was lost: then this job is already there.
if redis.call('EXISTS', submission) == 1 then
  return {'enqueued', job}
end
if fingerprint ~= '' then
  local known = redis.call('GET', idempotency)
  if known and redis.call('EXISTS', (known_job:gsub('%?', known:sub(1, #job)))) == 1 then
    return {'known', known}
  end
end
local length = redis.call('LLEN', queue)
if length >= cap then
  return {'queue_full', length}
end
-- Jobs stay in this set after a worker has taken them, so it is cleaned before it refuses.
if own_cap > 0 and redis.call('SCARD', waiting) >= own_cap then
  for _, other in ipairs(redis.call('SMEMBERS', waiting)) do
    if redis.call('HGET', record .. other, 'status') ~= 'queued' then
      redis.call('SREM', waiting, other)
    end
  end
  if redis.call('SCARD', waiting) >= own_cap then
    return {'caller_full', own_cap}
  end
end
-- The commands that RQ would have sent, each after the number of its words.
local place = 9
while place <= #ARGV do
  local count = tonumber(ARGV[place])
  redis.call(unpack(ARGV, place + 1, place + count))
  place = place + count + 1
end
if own_cap > 0 then
  redis.call('SADD', waiting, job)
  redis.call('EXPIRE', waiting, queued_for)
end
if fingerprint ~= '' then
  redis.call('SET', idempotency, job .. ':' .. fingerprint, 'EX', lifetime)
end
return {'enqueued', job}
"""


@dataclass(frozen=True)
class Terms:
    """The caps for a job, and its idempotency key.

    Attributes:
        account: Whom the job is counted for.
        max_queued: Jobs that may wait, of all callers.
        max_queued_per_account: Those of one caller; None: no cap of its own.
        idempotency: The client's key, if it sent one.
    """

    account: str
    max_queued: int
    max_queued_per_account: int | None
    idempotency: Idempotency | None


class QueueFull(Exception):
    """The queue holds as many jobs as may wait."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


def admit(
    redis: Redis,
    job_id: str,
    queue_key: str,
    record_prefix: str,
    commands: Sequence[Sequence[Any]],
    terms: Terms,
) -> str | None:
    """Runs the commands that enqueue a job, all at once, or refuses it.

    Args:
        redis: The server.
        job_id: The new job's.
        queue_key: The list of waiting jobs.
        record_prefix: Key of RQ's record of a job, without the job's id.
        commands: The commands that enqueue it, each with its arguments.
        terms: The caps and the key.

    Returns:
        None, or the job that an earlier request with the same key made.

    Raises:
        QueueFull: The cap on all queued jobs is reached.
        ProblemError: The account's cap is reached, or its key was used for another request.
    """
    key = terms.idempotency
    used = [
        queue_key,
        keys.submission(job_id),
        keys.waiting(terms.account),
        key.redis_key if key else "",
    ]
    arguments: list[Any] = [
        job_id,
        terms.max_queued,
        terms.max_queued_per_account or 0,
        key.fingerprint if key else "",
        IDEMPOTENCY_TTL,
        QUEUED_TTL,
        record_prefix,
        keys.submission("?"),
    ]
    for command in commands:
        arguments += [len(command), *command]
    outcome, value = redis.register_script(_SCRIPT)(keys=used, args=arguments)
    if outcome == b"queue_full":
        raise QueueFull(value)
    if outcome == b"caller_full":
        detail = f"at most {value} jobs of one caller may wait; cancel one, or wait until one starts"
        raise refusal(ProblemCode.TOO_MANY_QUEUED, detail, headers={"Retry-After": "5"})
    if outcome == b"known" and key is not None:
        return key.require_same(value)
    return None
