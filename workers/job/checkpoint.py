"""The votes that a job has made so far, so that an attempt after a crash continues from them."""

import json
import time
from dataclasses import asdict
from typing import Any

from redis import Redis

from certifier import Record, VoteKeeper, VoteSetting
from contract import keys
from contract.certificates import SigmaTrial
from contract.limits import CHECKPOINT_INTERVAL, VOTES_TTL
from smoothing import Votes

_VERSION = 3


class Checkpoint(VoteKeeper):
    """The records of one job, one per noise, written at most every `CHECKPOINT_INTERVAL` seconds.

    Those of another release, before or after this one, count as none: the votes are made anew.

    Attributes:
        seconds: What earlier attempts worked, until they wrote last.
    """

    def __init__(self, redis: Redis, job_id: str) -> None:
        self._redis = redis
        self._key = keys.votes(job_id)
        self._written = 0.0
        self._began = time.monotonic()
        stored = redis.get(self._key)
        content = json.loads(stored) if isinstance(stored, bytes) else {}
        known = content.get("version") == _VERSION
        self._records: dict[str, Any] = content["noises"] if known else {}
        self.seconds = content["seconds"] if known else 0.0

    def read(self, noise: str) -> Record | None:
        """Returns what an earlier attempt left of one noise, or None."""
        stored = self._records.get(noise)
        if stored is None:
            return None
        votes = stored["votes"]
        return Record(
            setting=VoteSetting(**stored["setting"]),
            trials=tuple(SigmaTrial.model_validate(trial) for trial in stored["trials"]),
            votes=None if votes is None else Votes.from_json(votes),
        )

    def write(self, noise: str, record: Record, *, now: bool = False) -> None:
        """Records a noise's votes, soon or now."""
        self._records[noise] = {
            "setting": asdict(record.setting),
            "trials": [trial.model_dump() for trial in record.trials],
            "votes": None if record.votes is None else record.votes.to_json(),
        }
        if now or time.monotonic() - self._written >= CHECKPOINT_INTERVAL:
            seconds = self.seconds + time.monotonic() - self._began
            content = {"version": _VERSION, "seconds": seconds, "noises": self._records}
            self._redis.set(self._key, json.dumps(content), ex=VOTES_TTL)
            self._written = time.monotonic()

    def clear(self) -> None:
        """Forgets the votes: the answer is there."""
        self._redis.delete(self._key)
