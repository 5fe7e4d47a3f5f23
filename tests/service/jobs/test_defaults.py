"""What a request leaves out, and what would silently do nothing."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
import torch
from redis import Redis
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer
from scipy import stats

from contract.choices import NoiseKind
from contract.defaults import largest_radius, last_look_alpha
from contract.limits import SIGMA_GRID
from contract.models import ModelInfo
from contract.requests import CertifyRequest
from smoothing import Gaussian, SmoothedClassifier, Target, target_schedule
from tests.service.examples import proved

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(params=["form", "json"])
def post(
    request: pytest.FixtureRequest, api: httpx.Client, picture: Callable[..., bytes]
) -> Callable[..., Any]:
    """Posts fields both ways; `colour` is sent a picture of its own size."""

    def send(path: str = "/certify", model: str = "toy", **fields: Any) -> httpx.Response:
        image = picture() if model == "toy" else picture("RGB", (8, 16), (7, 7, 7))
        fields |= {"model": model}
        if request.param == "form":
            return api.post(path, files={"image": ("image", image)}, data=fields)
        return api.post(f"{path}/json", json={"image": base64.b64encode(image).decode(), **fields})

    return send


@pytest.fixture
def ask(post: Callable[..., httpx.Response], redis: Redis) -> Ask:
    """Posts fields, and returns the task that a worker gets."""

    def task(path: str = "/certify", model: str = "toy", **fields: Any) -> dict[str, Any]:
        response = post(path, model, **fields)
        assert response.status_code == 202, response.text
        job = QueuedJob.fetch(response.json()["id"], connection=redis, serializer=JSONSerializer)
        sent: dict[str, Any] = job.args[0]
        question = sent.pop("question")
        return question["asked"] | question["resolved"] | sent

    return task


@pytest.fixture
def refuse(post: Callable[..., httpx.Response]) -> Callable[..., tuple[str, str, str]]:
    """Posts fields that are refused; returns the code, the pointer and the words."""

    def refused(path: str = "/certify", model: str = "toy", **fields: Any) -> tuple[str, str, str]:
        response = post(path, model, **fields)
        assert response.status_code == 422, response.text
        (error,) = response.json()["errors"]
        assert error["message"] in response.json()["detail"]
        return response.json()["code"], error["pointer"], error["message"]

    return refused


def pick(task: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(task[name] for name in names)


@pytest.mark.parametrize(
    ("fields", "level", "sigma"),
    [
        ({}, "auto", 0.5),
        ({"sigma": 0.25}, "fixed", 0.25),
        ({"noise_level": "fixed"}, "fixed", 0.5),
        ({"noise_level": "optimize"}, "optimize", 0.5),
        ({"noise_level": "optimize", "sigma": 0.25}, "optimize", 0.25),
        ({"sigma_grid": [0.25]}, "auto", 0.5),
        ({"noise": "hybrid", "sigma_uniform": 0.25}, "fixed", 0.5),
    ],
)
def test_how_the_level_is_chosen(ask: Ask, fields: dict[str, Any], level: str, sigma: float) -> None:
    """Fixed when a level is given, else per image."""
    assert pick(ask(**fields), "noise_level", "sigma") == (level, sigma)


def test_level_of_the_uniform_branch(ask: Ask) -> None:
    """The other one's, unless it is given."""
    assert pick(ask(noise="hybrid", sigma=0.25), "sigma", "sigma_uniform") == (0.25, 0.25)
    both = {"sigma": 0.25, "sigma_uniform": 0.75}
    assert pick(ask(noise="hybrid", **both), "sigma", "sigma_uniform") == (0.25, 0.75)
    assert ask("/predict", noise="hybrid", **both)["sigma_uniform"] == 0.75


def test_grid(ask: Ask, beat: Callable[..., None], toy: ModelInfo, colour: ModelInfo) -> None:
    """The request's, sorted and without repetitions, else the model's, else the paper's."""
    assert ask(sigma_grid=[0.5, 0.25, 0.5])["sigma_grid"] == [0.25, 0.5]
    assert ask()["sigma_grid"] == list(SIGMA_GRID)
    assert ask(model="colour")["sigma"] == SIGMA_GRID[0]
    beat(toy.model_copy(update={"sigma_grid": [0.4, 0.2]}))
    assert ask()["sigma_grid"] == [0.2, 0.4]


@pytest.mark.parametrize(
    "sent", [["0.25", "0.5"], ["0.25,0.5"], ["0.25, 0.5,"], ["0.25", "", "0.5"], "0.5,0.25"]
)
def test_list_in_a_form(api: httpx.Client, png: bytes, redis: Redis, sent: str | Sequence[str]) -> None:
    """The field once per item, or commas in one text."""
    response = api.post(
        "/certify", files={"image": ("image", png)}, data={"model": "toy", "sigma_grid": sent}
    )
    assert response.status_code == 202, response.text
    job = QueuedJob.fetch(response.json()["id"], connection=redis, serializer=JSONSerializer)
    assert job.args[0]["question"]["resolved"]["sigma_grid"] == [0.25, 0.5]


def test_list_in_a_form_is_no_file(api: httpx.Client, png: bytes) -> None:
    files = {"image": ("image", png), "sigma_grid": ("grid", b"0.25")}
    response = api.post("/certify", files=files, data={"model": "toy"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("/sigma_grid")


def test_wrong_item_of_a_list(refuse: Callable[..., tuple[str, str, str]]) -> None:
    """It is named by its place."""
    code, pointer, words = refuse(sigma_grid=[0.25, "x"])
    assert (code, pointer) == ("invalid_field", "/sigma_grid/1")
    assert words == "'sigma_grid/1' must be a number, got 'x'"


@pytest.mark.parametrize("path", ["/certify", "/predict"])
def test_adaptation_where_the_model_can(ask: Ask, path: str) -> None:
    """With all of the statistics' weight and the usual number of images; else the fields say that it is off."""
    names = ("adapt", "momentum", "clean_size")
    assert pick(ask(path), *names) == (True, 1.0, 512)
    assert pick(ask(path, adapt=True, momentum=0.5, clean_size=2), *names) == (True, 0.5, 2)
    assert pick(ask(path, adapt=False), *names) == (False, 1.0, 0)
    assert pick(ask(path, "colour", sigma=1), *names) == (False, 1.0, 0)
    assert pick(ask(path, "colour", sigma=1, adapt=False), *names) == (False, 1.0, 0)


def test_clean_images_that_the_model_has(ask: Ask, beat: Callable[..., None], toy: ModelInfo) -> None:
    beat(toy.model_copy(update={"clean_size": 100}))
    assert ask()["clean_size"] == 100


@pytest.mark.parametrize("path", ["/certify", "/predict"])
@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"adapt": True}, "/adapt"),
        ({"adapt": True, "momentum": 0.5}, "/adapt"),
        ({"momentum": 0.5}, "/momentum"),
        ({"clean_size": 5}, "/clean_size"),
    ],
)
def test_model_that_cannot_adapt(
    refuse: Callable[..., tuple[str, str, str]], path: str, fields: dict[str, Any], pointer: str
) -> None:
    """It says why, rather than doing nothing silently."""
    code, where, words = refuse(path, "colour", sigma=1, **fields)
    assert (code, where) == ("not_adaptable", pointer)
    assert "it has no batch-norm layers" in words
    assert f"'{pointer[1:]}'" in words


@pytest.mark.parametrize(
    ("fields", "pointer", "other"),
    [
        ({"sigma_uniform": 0.5}, "/sigma_uniform", "noise"),
        ({"adapt": False, "momentum": 0.5}, "/momentum", "adapt"),
        ({"adapt": False, "clean_size": 5}, "/clean_size", "adapt"),
        ({"noise_level": "auto", "sigma": 0.5}, "/sigma", "noise_level"),
        ({"sigma_grid": [0.5], "sigma": 0.5}, "/sigma", "noise_level"),
        ({"noise": "hybrid", "noise_level": "auto", "sigma_uniform": 0.5}, "/sigma_uniform", "noise_level"),
        ({"noise_level": "fixed", "sigma_grid": [0.5]}, "/sigma_grid", "noise_level"),
        ({"noise_level": "optimize", "sigma_grid": [0.5]}, "/sigma_grid", "noise_level"),
    ],
)
def test_field_that_would_do_nothing(
    refuse: Callable[..., tuple[str, str, str]], fields: dict[str, Any], pointer: str, other: str
) -> None:
    """It is named, and so is the field that it has no meaning with; never an empty pointer."""
    code, where, words = refuse(**fields)
    assert (code, where) == ("invalid_field", pointer)
    assert words.startswith(f"'{pointer[1:]}' = ")
    assert f"has no meaning with '{other}' = " in words


def at_last(alpha: float, n: int = 10_000) -> float:
    """What the looks for a target leave for the last one."""
    return target_schedule(n, alpha)[-1].alpha


@pytest.mark.parametrize("alpha", [0.25, 0.01, 0.001, 0.0005, 2.0**-10, 1e-6, 1e-50])
def test_the_last_look_is_that_of_the_schedule(alpha: float) -> None:
    """That of the workers, which the service does not import."""
    for n in (*range(2, 1500), 9_999, 10_000, 100_000, 10_000_000):
        assert last_look_alpha(n, alpha) == pytest.approx(at_last(alpha, n), rel=2e-12), n


@pytest.mark.parametrize("n", [10, 100, 1000, 20_000])
def test_a_target_that_is_taken_is_reached_by_equal_votes(n: int) -> None:
    """The largest one that is not refused is certified where the classifier always answers the same."""
    most = largest_radius(NoiseKind.GAUSSIAN, 0.5, 0.5, n, last_look_alpha(n, 0.001), 6)
    g = SmoothedClassifier(
        lambda images: images.flatten(1)[:, :2] * 0 + images.new_tensor([1, 0]), Gaussian(0.5)
    )
    image = torch.zeros(1, 2, 3)
    assert g.certify(image, n=n, stop=Target(most)).stop_reason == "target_reached"
    assert g.certify(image, n=n, stop=Target(most + 2e-6)).stop_reason != "target_reached"


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"sigma": 0.5}, 0.5 * stats.norm.ppf(at_last(0.001) ** 1e-4)),
        ({"sigma": 0.5, "noise": "uniform"}, 0.5 * 3**0.5 * (2 * at_last(0.001) ** 1e-4 - 1)),
        ({"sigma": 0.5, "noise": "hybrid"}, 0.5 * stats.norm.ppf(at_last(0.0005) ** 1e-4)),
        ({"sigma_grid": [0.25, 2, 1]}, 2 * stats.norm.ppf(at_last(0.001) ** 1e-4)),
        ({"sigma": 0.5, "n": 100, "alpha": 0.01}, 0.5 * stats.norm.ppf(at_last(0.01, 100) ** 0.01)),
    ],
)
def test_target_out_of_reach(
    post: Callable[..., httpx.Response], fields: dict[str, Any], most: float
) -> None:
    """What 10 000 equal votes can certify at their last look is taken, and not a hundred-thousandth more."""
    assert post(**fields, target_radius=most - 1e-5).status_code == 202
    response = post(**fields, target_radius=most + 1e-5)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    (error,) = response.json()["errors"]
    assert error["pointer"] == "/target_radius"
    stated = float(error["message"].split("<= ")[1].split(",")[0])
    assert most - 2e-6 < stated <= most
    assert str(most + 1e-5) in error["message"]
    assert post(**fields, target_radius=stated).status_code == 202


def test_target_under_optimize_is_taken(ask: Ask) -> None:
    """Nobody knows yet where it will climb to."""
    assert ask(noise_level="optimize", target_radius=50)["target_radius"] == 50


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
@pytest.mark.parametrize("n", [10, 1000, 10_000_000])
def test_largest_radius_is_that_of_equal_votes(noise: str, n: int) -> None:
    """Against SciPy; in ℓ2 a hybrid has the larger of both."""
    p_lower = float(stats.beta.ppf(0.001, n, 1))
    radius = proved(noise, 0.5, p_lower, 1 - p_lower, 784)
    own = radius["l1" if noise == "uniform" else "l2"]
    assert largest_radius(NoiseKind(noise), 0.5, 9, n, 0.001, 784) == pytest.approx(own, abs=2e-6)
    sigmas = (0.5, 1e-6) if noise == "gaussian" else (1e-6, 0.5)
    both = largest_radius(NoiseKind.HYBRID, *sigmas, n, 0.001, 784)
    assert both == pytest.approx(radius["l2"], abs=2e-6)


@pytest.mark.parametrize("fields", [{}, {"n": 1000}, {"noise": "hybrid"}, {"noise": "hybrid", "n": 1000}])
@pytest.mark.parametrize("path", ["/certify", "/predict"])
def test_alpha_too_small_to_compute_with(
    refuse: Callable[..., tuple[str, str, str]], path: str, fields: dict[str, Any]
) -> None:
    """Half of the smallest float is zero, which has no logarithm."""
    for alpha in ("5e-324", "9e-51"):
        code, pointer, words = refuse(path, alpha=float(alpha), **fields)
        assert (code, pointer) == ("invalid_field", "/alpha")
        assert words == f"'alpha' must be >= 1e-50, got {alpha}"


def test_level_below_the_lattice_of_optimize(ask: Ask, refuse: Callable[..., tuple[str, str, str]]) -> None:
    """Adapted levels are multiples of 0.005, and twice the start is as far as `optimize` climbs."""
    optimize = {"noise_level": "optimize", "adapt": True}
    code, pointer, words = refuse(sigma=0.002, **optimize)
    assert (code, pointer) == ("invalid_field", "/sigma")
    assert words.startswith("'sigma' must be >= 0.0025 ")
    assert words.endswith(", got 0.002")
    hybrid = {"noise": "hybrid", "sigma": 0.5, "sigma_uniform": 0.001}
    assert refuse(**hybrid, **optimize)[1] == "/sigma_uniform"
    assert ask(sigma=0.0025, **optimize)["sigma"] == 0.0025
    assert ask(sigma=0.001, noise_level="optimize", adapt=False)["sigma"] == 0.001
    assert ask(sigma=0.001, adapt=True)["sigma"] == 0.001


def test_policy_of_a_request() -> None:
    """What the contract says, it says to every client."""
    assert CertifyRequest(sigma=0.5).sigma_policy == "fixed"
    assert CertifyRequest().sigma_policy == CertifyRequest(sigma_grid=[0.5]).sigma_policy == "auto"
