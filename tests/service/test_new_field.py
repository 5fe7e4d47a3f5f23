"""A request field is written once: added to its model alone, it is in the document, on the command line and in the task."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

import contract
from contract import keys
from tests.service.conftest import ApiProcess, run_api
from tests.support.waiting import until

ROOT = Path(contract.__file__).parents[1]
NEXT = "    n0: Samples = Field("
NEW = '    novelty: int = Field(default=3, ge=1, le=9, description="How much of `it`.")\n'
READ = """
import sys
from contract.tasks import CertifyTask
task = CertifyTask.model_validate_json(sys.stdin.read())
print(task.question.asked.novelty, task.question.content.get("novelty"))
"""


@pytest.fixture
def later(tmp_path: Path) -> dict[str, str]:
    """The environment of a release whose request model has one line more, and nothing else."""
    shutil.copytree(ROOT / "contract", tmp_path / "contract")
    requests = tmp_path / "contract" / "requests.py"
    text = requests.read_text()
    assert text.count(NEXT) == 1
    requests.write_text(text.replace(NEXT, NEW + NEXT))
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "PYTHONSAFEPATH": "1"}


@pytest.fixture
def later_api(
    later: dict[str, str], redis_url: str, beat: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ApiProcess]:
    """`radii api` of that release."""
    beat()
    for name, value in later.items():
        monkeypatch.setenv(name, value)
    with run_api(redis_url, catalogue_seconds=0) as api:
        yield api


def python(*words: str, **options: Any) -> str:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, **options
    ).stdout


@pytest.mark.usefixtures("later_api")
def test_it_is_in_the_document() -> None:
    document = json.loads(python("-m", "radii", "openapi"))
    for name in ("CertifyForm", "CertifyJsonRequest"):
        field = document["components"]["schemas"][name]["properties"]["novelty"]
        assert (field["type"], field["minimum"], field["maximum"], field["default"]) == ("integer", 1, 9, 3)
        assert field["description"] == "How much of `it`."
    assert "novelty" not in document["components"]["schemas"]["PredictForm"]["properties"]


def test_it_travels_from_the_command_line_to_the_worker(
    later_api: ApiProcess, redis: Redis, png: bytes, tmp_path: Path
) -> None:
    """As an option with help, as a field of the form, in the task, and in what makes two questions different."""
    picture = tmp_path / "picture.png"
    picture.write_bytes(png)
    helped = python("-m", "radii", "certify", "--help", env={**os.environ, "COLUMNS": "120"})
    assert "--novelty" in helped
    assert "How much of `it`. Default: 3." in " ".join(helped.split())
    command = ["certify", str(picture), "--model", "toy", "--novelty", "5", "--url", later_api.url]
    with subprocess.Popen([sys.executable, "-m", "radii", *command], stderr=subprocess.DEVNULL) as asking:
        until(lambda: redis.llen(f"rq:queue:{keys.QUEUE}") == 1)
        asking.kill()
    queued: Any = redis.lindex(f"rq:queue:{keys.QUEUE}", 0)
    (task,) = Job.fetch(queued.decode(), connection=redis, serializer=JSONSerializer).args
    assert python("-c", READ, input=json.dumps(task)).split() == ["5", "5"]


def test_a_wrong_value_is_refused_by_name(later_api: ApiProcess, tmp_path: Path) -> None:
    """On the command line, before anything is sent."""
    (tmp_path / "picture.png").write_bytes(b"png")
    command = ["certify", "picture.png", "--novelty", "10", "--url", later_api.url]
    ran = subprocess.run(
        [sys.executable, "-m", "radii", *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "'novelty' must be <= 9, got 10" in ran.stderr
