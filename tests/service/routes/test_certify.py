"""Submitting: fields, defaults, and what the worker gets."""

import base64
import json
import math
import threading
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from redis import Redis
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer

from contract import keys, limits
from contract.certificates import Certificate
from contract.models import ModelInfo
from contract.tasks import CertifyTask, PredictTask
from tests.support.streams import blocked
from tests.support.waiting import until

Post = Callable[..., httpx.Response]


@pytest.fixture(params=["form", "json"])
def certify(request: pytest.FixtureRequest, api: httpx.Client, png: bytes) -> Post:
    """Posts fields to /certify both ways; they must answer alike."""

    def post(image: bytes = png, **fields: Any) -> httpx.Response:
        if request.param == "form":
            return api.post("/certify", files={"image": ("image", image)}, data=fields)
        return api.post("/certify/json", json={"image": base64.b64encode(image).decode(), **fields})

    return post


def queued(redis: Redis, response: httpx.Response) -> QueuedJob:
    return QueuedJob.fetch(response.json()["id"], connection=redis, serializer=JSONSerializer)


def test_job_is_answered_with_its_place(certify: Post, api: httpx.Client) -> None:
    """202, a Location that works, and every member of the job."""
    response = certify(model="toy")
    job = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/jobs/{job['id']}" == job["links"]["self"]
    assert api.get(response.headers["Location"]).json() == job
    assert (job["status"], job["kind"], job["model"], job["attempt"]) == ("queued", "certify", "toy", 1)
    assert job["progress"] == {"stage": "queued", "completed": 0, "total": 0, "radius_so_far": None}
    assert len(job["id"]) == 32


def test_task_has_every_default_filled_in(certify: Post, redis: Redis, toy: ModelInfo) -> None:
    """The worker decides nothing: sigma and n come from the model, the seed is the service's."""
    job = queued(redis, certify(model="toy", label="3"))
    task = CertifyTask.model_validate(job.args[0])
    assert job.func_name == keys.CERTIFY_TASK
    asked, resolved = task.question.asked, task.question.resolved
    assert (resolved.sigma, resolved.n, asked.n0, asked.alpha) == (0.5, toy.n, 100, 0.001)
    assert (task.model_digest, resolved.label, task.job_id) == (toy.digest, 3, job.id)
    assert len(resolved.seed) == 32
    assert (job.timeout, job.ttl, job.retries_left) == (limits.JOB_TIMEOUT, limits.QUEUED_TTL, limits.RETRIES)
    assert job.description == "certify"


def test_image_is_stored_under_its_digest(certify: Post, redis: Redis) -> None:
    """The pixels lie where the task says, for as long as an attempt may need them."""
    task = CertifyTask.model_validate(queued(redis, certify(model="toy")).args[0])
    assert redis.get(keys.image(task.image_digest)) == b"\x07" * 784
    assert 0 < redis.ttl(keys.image(task.image_digest)) <= limits.IMAGE_TTL


def test_fields_reach_the_task(certify: Post, redis: Redis) -> None:
    """What is asked for is what is computed; a label may be a name, a seed may be short."""
    fields = {"sigma": 0.25, "n": 1000, "n0": 10, "alpha": 0.01, "bound": "one_sided", "noise": "hybrid"}
    fields |= {"noise_level": "optimize", "sigma_uniform": 0.75, "target_radius": 0.5, "max_seconds": 2.5}
    fields |= {"adapt": True, "momentum": 0.9, "clean_size": 600}
    question = queued(redis, certify(model="toy", label="digit 7", seed="ff", memory="off", **fields)).args[
        0
    ]["question"]
    decided = question["asked"] | question["resolved"]
    assert {key: decided[key] for key in fields} == fields
    assert (decided["label"], decided["seed"]) == (7, "ff".zfill(32))


def test_a_seed_of_the_service_follows_from_model_and_image(
    certify: Post, redis: Redis, picture: Callable[..., bytes]
) -> None:
    """Whatever else is asked, and whoever asks; nobody without the deployment's secret can compute it."""

    def seed(response: httpx.Response) -> str:
        return str(CertifyTask.model_validate(queued(redis, response).args[0]).question.resolved.seed)

    first = seed(certify(model="toy"))
    assert seed(certify(model="toy", n=5000, sigma=0.25, memory="mine")) == first
    assert seed(certify(picture(colour=8), model="toy")) != first
    redis.delete(keys.SECRET)
    assert seed(certify(model="toy")) != first


def test_default_model_is_the_first_ready_one(certify: Post) -> None:
    """Alphabetically; `colour` then needs a sigma where it is fixed."""
    assert certify(noise_level="fixed").json()["errors"][0]["pointer"] == "/sigma"


def test_empty_form_fields_count_as_absent(api: httpx.Client, png: bytes) -> None:
    """Browsers send every field of a form."""
    fields = {"model": "toy", "sigma": "", "n": "", "label": "", "seed": "", "noise": "", "sigma_grid": ""}
    assert api.post("/certify", files={"image": ("image", png)}, data=fields).status_code == 202


def test_predict_takes_fewer_samples(api: httpx.Client, png: bytes, redis: Redis) -> None:
    """A label needs fewer votes than a radius."""
    response = api.post("/predict", files={"image": ("image", png)}, data={"model": "toy"})
    job = queued(redis, response)
    assert response.json()["kind"] == "predict"
    assert job.func_name == keys.PREDICT_TASK
    assert PredictTask.model_validate(job.args[0]).question.resolved.n == 1000


def test_predict_takes_json(api: httpx.Client, png: bytes, redis: Redis) -> None:
    """With line breaks in the base64, as command-line tools write it."""
    image = base64.encodebytes(png).decode()
    response = api.post(
        "/predict/json", json={"model": "colour", "sigma": 1, "image": image, "fit": "resize"}
    )
    assert PredictTask.model_validate(queued(redis, response).args[0]).question.resolved.n == 500


@pytest.mark.parametrize(
    ("fields", "pointer", "message"),
    [
        ({"sigma": -1}, "/sigma", "'sigma' must be > 0, got -1"),
        ({"sigma": 0}, "/sigma", "'sigma' must be > 0, got 0"),
        ({"sigma": 101}, "/sigma", "'sigma' must be <= 100, got 101"),
        ({"sigma": "wide"}, "/sigma", "'sigma' must be a number, got 'wide'"),
        ({"alpha": 0.5}, "/alpha", "'alpha' must be < 0.5, got 0.5"),
        ({"n": 0}, "/n", "'n' must be >= 1, got 0"),
        ({"n0": 10_000_001}, "/n0", "'n0' must be <= 10000000, got 10000001"),
        ({"bound": "wild"}, "/bound", "'bound' must be 'one_sided' or 'two_sided', got 'wild'"),
        ({"seed": "XYZ"}, "/seed", "'seed' must be 1 to 32 lower-case hex digits, got 'XYZ'"),
        (
            {"seed": "ff", "memory": "mine"},
            "/seed",
            (
                "'seed' must be omitted with 'memory' = mine, got ff: other answers would rest on votes of your choice; "
                "send 'memory' = off"
            ),
        ),
        ({"memory": "a b"}, "/memory", "'memory' must be 1 to 64 characters of A-Za-z0-9_-, got 'a b'"),
        ({"fresh": "perhaps"}, "/fresh", "'fresh' must be true or false, got 'perhaps'"),
        ({"max_seconds": 3601}, "/max_seconds", "'max_seconds' must be <= 3600, got 3601"),
        ({"momentum": 1.5}, "/momentum", "'momentum' must be <= 1, got 1.5"),
        ({"clean_size": 1}, "/clean_size", "'clean_size' must be >= 2, got 1"),
        (
            {"clean_size": 601},
            "/clean_size",
            "'clean_size' must be <= 600, the number of clean images of 'toy', got 601",
        ),
        ({"sigma_grid": [0.25, -1]}, "/sigma_grid/1", "'sigma_grid/1' must be > 0, got -1"),
        ({"sgima": "0.5"}, "/sgima", "'sgima' is not a field of this request"),
        ({"label": "cat"}, "/label", "'label' must be a class of 'toy' or an index from 0 to 9, got 'cat'"),
        ({"label": "10"}, "/label", "'label' must be a class of 'toy' or an index from 0 to 9, got '10'"),
    ],
)
def test_wrong_field_is_named_with_its_rule_and_value(
    certify: Post, fields: dict[str, Any], pointer: str, message: str
) -> None:
    response = certify(model="toy", **fields)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "invalid_field")
    assert problem["errors"] == [{"pointer": pointer, "message": message}]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_sigma_must_be_finite(api: httpx.Client, png: bytes, value: str) -> None:
    """In a form, and in JSON as Python writes it."""
    form = api.post("/certify", files={"image": ("image", png)}, data={"sigma": value})
    body = json.dumps({"image": "", "sigma": float(value)})
    posted = api.post("/certify/json", content=body, headers={"Content-Type": "application/json"})
    for response in (form, posted):
        assert response.status_code == 422
        assert response.json()["errors"] == [
            {"pointer": "/sigma", "message": f"'sigma' must be a finite number, got {value}"}
        ]


def test_memory_reaches_the_task(certify: Post, redis: Redis) -> None:
    """The namespace, and whether to sample in any case; none where a fixed level is asked for without one."""
    for fields, asked in (
        ({}, ("default", False)),
        ({"sigma": 0.5}, (None, False)),
        ({"sigma": 0.5, "memory": "mine"}, ("mine", False)),
        ({"memory": "off"}, (None, False)),
        ({"fresh": True}, ("default", True)),
    ):
        task = CertifyTask.model_validate(queued(redis, certify(model="toy", **fields)).args[0])
        assert (task.question.resolved.memory, task.question.asked.fresh) == asked


def test_prediction_has_a_memory_and_is_never_fresh(api: httpx.Client, png: bytes, redis: Redis) -> None:
    """What is stored of the image is what it is asked for."""
    for fields, asked in (({}, "default"), ({"sigma": 0.5}, None), ({"memory": "mine"}, "mine")):
        response = api.post("/predict", files={"image": ("image", png)}, data={"model": "toy", **fields})
        assert PredictTask.model_validate(queued(redis, response).args[0]).question.resolved.memory == asked
    response = api.post("/predict", files={"image": ("image", png)}, data={"model": "toy", "fresh": "true"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/fresh")


def test_fresh_without_a_memory(certify: Post) -> None:
    """There is nothing that it could do; both fields are named."""
    response = certify(model="toy", memory="off", fresh=True)
    message = "'fresh' = true has no meaning with 'memory' = off: omit it or name a memory"
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert response.json()["errors"] == [{"pointer": "/fresh", "message": message}]


def test_too_few_samples_for_alpha(certify: Post) -> None:
    """Nine equal votes certify nothing at α = 0.001; a smaller α needs more."""
    for fields in ({"n": 9}, {"n": 12, "alpha": 1e-4}):
        response = certify(model="toy", **fields)
        assert (response.status_code, response.json()["code"]) == (422, "too_few_samples")
        assert response.json()["errors"][0]["pointer"] == "/n"


def test_models_own_samples_are_held_against_alpha(
    certify: Post, beat: Callable[..., None], toy: ModelInfo
) -> None:
    """Its 100 votes cannot certify anything at a failure probability this small."""
    beat(toy.model_copy(update={"n": 100}))
    assert certify(model="toy", alpha=math.ldexp(1, -99)).status_code == 202
    for fields in ({"alpha": math.ldexp(1, -100)}, {"alpha": math.ldexp(1, -99), "noise": "hybrid"}):
        response = certify(model="toy", **fields)
        assert (response.status_code, response.json()["code"]) == (422, "too_few_samples")
        assert response.json()["errors"][0]["pointer"] == "/n"


def test_every_wrong_field_is_listed(certify: Post) -> None:
    """And a mistake outranks too few samples."""
    response = certify(model="toy", sigma=-1, n=9, extra="1", alpha=2)
    assert response.json()["code"] == "invalid_field"
    assert {error["pointer"] for error in response.json()["errors"]} == {"/sigma", "/alpha", "/extra"}


def test_long_values_are_shortened(certify: Post) -> None:
    response = certify(model="toy", bound="x" * 500)
    assert len(response.json()["detail"]) < 200


def test_unknown_model(certify: Post) -> None:
    """The names that would do are listed."""
    response = certify(model="nobody")
    assert (response.status_code, response.json()["code"]) == (422, "unknown_model")
    assert response.json()["errors"] == [
        {"pointer": "/model", "message": "'model' must be one of 'colour', 'toy', got 'nobody'"}
    ]


def test_no_engine(bare_api: httpx.Client, png: bytes) -> None:
    """Not the client's fault: 503, and when to ask again."""
    response = bare_api.post("/certify", files={"image": ("image", png)})
    assert (response.status_code, response.json()["code"]) == (503, "no_workers")
    assert int(response.headers["Retry-After"]) > 0


def test_image_is_required(api: httpx.Client) -> None:
    for response in (
        api.post("/certify", files={"other": b""}),
        api.post("/certify/json", json={"model": "toy"}),
    ):
        assert {"pointer": "/image", "message": "'image' is required"} in response.json()["errors"]


def test_image_must_be_a_file(api: httpx.Client, png: bytes) -> None:
    """A text field of that name is not one."""
    response = api.post("/certify", files={"x": png}, data={"image": "hello"})
    assert {"pointer": "/image", "message": "'image' must be sent as a file"} in response.json()["errors"]


@pytest.mark.parametrize("image", ["!!!", "aGk", "ünïcode", 7])
def test_bad_base64(api: httpx.Client, image: object) -> None:
    """The value is never shown: it may be megabytes."""
    response = api.post("/certify/json", json={"image": image})
    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": "/image", "message": "'image' must be base64"}]


@pytest.mark.parametrize("prefer", ["wait=5", "respond-async, wait=5", 'handling=lenient; foo, WAIT="5"'])
def test_preferred_wait_answers_when_the_job_ends(
    api: httpx.Client,
    png: bytes,
    redis: Redis,
    prefer: str,
    commit_soon: Callable[[], None],
) -> None:
    """200 with the certificate in it, long before the time is up."""
    commit_soon()
    response = api.post(
        "/certify", files={"image": ("image", png)}, data={"model": "toy"}, headers={"Prefer": prefer}
    )
    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=5"
    assert response.json()["status"] == "succeeded"
    assert response.elapsed.total_seconds() < 4.5  # of the 5 that it asked for


def test_preferred_wait_ends_with_a_pointer(api: httpx.Client, png: bytes) -> None:
    """202, never a timeout: the work goes on."""
    response = api.post(
        "/certify", files={"image": ("image", png)}, data={"model": "toy"}, headers={"Prefer": "wait=1"}
    )
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.elapsed.total_seconds() > 0.9


@pytest.mark.parametrize("prefer", ["respond-async", "wait=soon", "await=5", "", "wait=-1"])
def test_other_preferences_are_ignored(api: httpx.Client, png: bytes, prefer: str) -> None:
    response = api.post(
        "/certify", files={"image": ("image", png)}, data={"model": "toy"}, headers={"Prefer": prefer}
    )
    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers


@pytest.fixture
def commit_soon(redis: Redis, certificate: Callable[..., Certificate]) -> Any:
    """Answers the next job when it is waited for, as a worker's commit does."""
    threads: list[threading.Thread] = []

    def run() -> None:
        until(lambda: blocked(redis) == 1)
        (job,) = cast("list[bytes]", redis.lrange(f"rq:queue:{keys.QUEUE}", 0, -1))
        job_id = job.decode()
        with redis.pipeline(transaction=True) as pipeline:
            pipeline.set(keys.certificate(job_id), certificate(job_id).model_dump_json())
            pipeline.xadd(keys.events(job_id), {"progress": '{"stage": "done"}'})
            pipeline.execute()

    def start() -> None:
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()
