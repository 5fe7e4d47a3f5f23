"""Int8: fitted to noisy images, only where it votes as float32 does, silently, and the same everywhere."""

import importlib.util
import socket
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from models.backends import BACKENDS, BackendError, checks, prepare, quantize
from models.bundles import LoadedBundle

CPU = torch.device("cpu")
WISHES: dict[str, Any] = {"input_shape": (1, 28, 28), "num_classes": 10, "device": "cpu", "batch_size": 16}

pytestmark = pytest.mark.skipif(
    "int8" not in BACKENDS["openvino"].dtypes(CPU), reason="this CPU or installation has no int8"
)


@pytest.fixture
def noisy(shipped: LoadedBundle) -> torch.Tensor:
    """Clean images with noise."""
    assert shipped.clean is not None
    images = torch.from_numpy(shipped.clean[:128]) / 255
    return images + 0.5 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


def test_int8_is_chosen_with_calibration_and_only_then(shipped: LoadedBundle, noisy: torch.Tensor) -> None:
    """It is the fastest, and it cannot be had without images."""
    assert prepare(shipped.base_classifier, **WISHES, calibration=noisy).dtype == "int8"
    assert prepare(shipped.base_classifier, **WISHES).dtype == BACKENDS["openvino"].dtypes(CPU)[1]


def test_the_same_images_give_the_same_classifier(shipped: LoadedBundle, noisy: torch.Tensor) -> None:
    """Bit for bit, so that two workers answer alike."""
    one, two = (prepare(shipped.base_classifier, **WISHES, dtype="int8", calibration=noisy) for _ in range(2))
    assert torch.equal(one(noisy), two(noisy))


def test_other_votes_than_float32_are_refused(
    shipped: LoadedBundle, noisy: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name it is an error that says the share; by itself, the next precision is taken."""
    monkeypatch.setattr(checks, "LEAST_AGREEMENT", 1.01)
    with pytest.raises(BackendError, match=r"'dtype' int8 must vote like float32 .* got \d+\.\d% of 128"):
        prepare(shipped.base_classifier, **WISHES, dtype="int8", calibration=noisy)
    assert prepare(shipped.base_classifier, **WISHES, calibration=noisy).dtype != "int8"


def test_agreement_is_counted_on_the_images() -> None:
    """Three of four equal votes are too few, and the message says so."""
    images = torch.rand(4, 1, 1, 3)
    wrong = images.clone()
    wrong[0] = wrong[0].roll(1)

    def call(given: torch.Tensor) -> torch.Tensor:
        return wrong.flatten(1)

    with pytest.raises(BackendError, match=r"at least 97% of the calibration images, got 75\.0% of 4"):
        checks.check_votes(call, nn.Flatten(), images, "int8")


def test_without_nncf_there_is_no_int8(
    shipped: LoadedBundle, noisy: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next precision is taken, and who asks for it by name hears what is missing."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        quantize.importlib.util, "find_spec", lambda name: None if name == "nncf" else found(name)
    )
    assert prepare(shipped.base_classifier, **WISHES, calibration=noisy).dtype != "int8"
    with pytest.raises(
        BackendError, match=r"'dtype' must be one of .* got 'int8' \(it needs the package nncf"
    ):
        prepare(shipped.base_classifier, **WISHES, dtype="int8", calibration=noisy)


def test_nothing_is_printed_and_no_connection_opened(
    shipped: LoadedBundle, noisy: torch.Tensor, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """NNCF would log, draw progress bars and report its use."""

    def refuse(*args: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    prepare(shipped.base_classifier, **WISHES, dtype="int8", calibration=noisy)
    assert capfd.readouterr() == ("", "")


ALONE = """
import socket, sys
def refuse(*args): raise SystemExit("a connection was opened")
socket.socket.connect = refuse
import torch
from models.backends import prepare
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
prepare(network.eval(), input_shape=(1, 8, 8), num_classes=3, device="cpu", dtype="int8", batch_size=4,
        calibration=torch.randn(128, 1, 8, 8))
import nncf.telemetry.wrapper
assert "openvino_telemetry" not in sys.modules, "telemetry is loaded"
assert not hasattr(nncf.telemetry.wrapper, "Telemetry"), "telemetry is there"
assert "nncf.torch" not in sys.modules, "more is imported than is needed"
"""


def test_a_process_of_its_own_never_loads_the_telemetry(tmp_path: Any) -> None:
    """Outside pytest too, where NNCF does not switch it off by itself; the home folder stays empty."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
