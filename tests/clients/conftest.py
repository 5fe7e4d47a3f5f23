"""What `make clients-test` needs beyond `make test`: Node and its packages, Java, and a service to make clients of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.generating import add_node_packages
from tests.support.service import Service
from tests.support.stack import open_stack
from tests.support.timings import FAST_ENVIRONMENT


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole stack with the shipped models."""
    with open_stack(tmp_path_factory.mktemp("stack"), FAST_ENVIRONMENT, workers=1) as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """One that has what docs/clients.md tells a reader to install."""
    add_node_packages(tmp_path, pytestconfig)
    return tmp_path
