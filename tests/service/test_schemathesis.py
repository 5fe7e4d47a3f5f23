"""Every operation against everything that its description allows, and much that it does not."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from contract import keys
from contract.certificates import Certificate
from contract.choices import JobKind
from contract.jobs import Submission
from service.app import create_app
from service.settings import Auth, ServiceSettings
from tests.properties import times
from tests.service.examples import make_prediction
from tests.service.keyring import make_keys

FOLDER = Path(__file__).parent / "schemathesis"
FINISHED, EXPIRED = "ab" * 16, "cd" * 16  # `schemathesis.toml` knows them


@pytest.mark.hypothesis
@pytest.mark.timeout(200 * times())
def test_the_service_does_what_its_document_says(
    serve_app: Callable[..., Any],
    redis_url: str,
    redis: Redis,
    beat: Callable[..., None],
    work: Callable[..., None],
    certificate: Callable[..., Certificate],
    tmp_path: Path,
) -> None:
    """Requests from examples, from edges, at random, and chained; a worker answers what they queue."""

    def task(payload: dict[str, Any]) -> None:
        made = certificate(payload["job_id"])
        if "bound" in payload:
            redis.set(keys.certificate(made.id), made.model_dump_json())
        else:
            redis.set(keys.prediction(made.id), make_prediction(made).model_dump_json())

    for job_id in (FINISHED, EXPIRED):
        known = Submission(job_id=job_id, kind=JobKind.CERTIFY, model="toy", created_at=datetime.now(UTC))
        redis.set(keys.submission(job_id), known.model_dump_json())
    redis.set(keys.certificate(FINISHED), certificate(FINISHED).model_dump_json())
    config = str(FOLDER / "schemathesis.toml")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run"]
    if times() > 1:
        command += [
            "--seed",
            str(random.SystemRandom().randrange(2**32)),
            "--max-examples",
            str(20 * times()),
        ]
    (key,) = make_keys(tmp_path / "keys.json", "fuzz", scopes=("admin",))
    settings = ServiceSettings(
        redis_url=redis_url,
        auth=Auth.KEYS,
        api_keys_file=tmp_path / "keys.json",
        catalogue_seconds=0,
        rate_limit_submit="off",
    )
    with serve_app(create_app(settings)) as url, (tmp_path / "printed").open("w+") as printed:
        process = subprocess.Popen(
            [*command, f"{url}/openapi.json", "--header", f"X-API-Key: {key}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(FOLDER)},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            while process.poll() is None:
                beat()  # as long as it takes
                work(task)
        finally:
            process.kill()
            process.wait()
        printed.seek(0)
        assert process.returncode == 0, printed.read()
