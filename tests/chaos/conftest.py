"""The stack of these tests, and its models."""

from collections.abc import Iterator

import pytest

from radii.stack import tail
from tests.chaos.clients import DAMAGED, MODEL, POISON
from tests.chaos.cluster import Cluster
from tests.support.bundles import make_bundle
from tests.support.stack import of_one_model
from tests.support.waiting import until


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a stack with a model that contradicts itself, one that kills its engine, and one that is damaged."""
    bundles = tmp_path_factory.mktemp("chaos-bundles")
    for name, network in ((MODEL, "Roughness"), (POISON, "Poison"), (DAMAGED, "Roughness")):
        make_bundle(bundles / name, network)
    weights = bundles / DAMAGED / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    return of_one_model(bundles, MODEL)


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Cluster]:
    """The stack of all these tests, which each has to leave sound; when it is stopped, no process may be left."""
    folder = tmp_path_factory.mktemp("chaos")
    with (folder / "radii.log").open("a") as log:
        try:
            with Cluster(folder, log, environment) as found:
                yield found
            until(lambda: not found.left_over(), found.left_over)
        finally:
            print(tail(folder / "radii.log", 80))  # noqa: T201 (pytest shows it when a test fails)
