"""Files that hold objects of code give their tensors, and nothing of that code runs."""

import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from models.bundles import load_bundle
from models.errors import WeightsError
from models.intake import create_bundle, read_checkpoint
from models.intake.inert import UNKNOWN
from models.intake.pickles import read_pickle
from tests.models.support import tiny_network

TINY: dict[str, Any] = {
    "source": "preact_resnet18", "arguments": {"width": 2}, "classes": ("a", "b", "c"),
    "input_shape": (1, 8, 8), "mean": (0.3,), "std": (0.4,),
}  # fmt: skip

both_formats = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


class Runs:
    """What a pickle of this returns comes from calling a function when it is read."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.parts = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


class Rebuilt(Runs):
    """Gets a state, list items and dict items, too, as functions and classes do in dill's pickles."""

    def __reduce__(self) -> tuple[Any, ...]:
        return *self.parts, {"__name__": "lr_func"}, iter([1, 2]), iter([("a", 1), ("b", 2)])


@pytest.fixture
def dill(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A module ``dill._dill`` for pickles to name, which is gone again when they are read."""

    def _create_function(*_: object) -> None:
        raise AssertionError("code of the file must not run")

    module = ModuleType("dill._dill")
    _create_function.__module__, _create_function.__qualname__ = "dill._dill", "_create_function"
    module._create_function = _create_function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dill", ModuleType("dill"))
    monkeypatch.setitem(sys.modules, "dill._dill", module)
    return _create_function


def save(content: object, path: Path, zipped: bool) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)


@both_formats
def test_tensors_beside_a_function_that_dill_pickled_become_a_bundle(
    tmp_path: Path, zipped: bool, dill: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a schedule of MadryLab's robustness; a class's instance and a NumPy array are there as well."""
    network = tiny_network()
    schedule = {"lr_lambdas": [Rebuilt(dill, b"code", {"np": "numpy"})], "args": Path("runs")}
    save({"model": network.state_dict(), "schedule": schedule}, tmp_path / "theirs.pt", zipped)
    monkeypatch.delitem(sys.modules, "dill._dill")
    notes: list[str] = []
    create_bundle(tmp_path / "bundle", weights=tmp_path / "theirs.pt", say=notes.append, **TINY)
    assert notes[0] == "'model' contains the weights; ignored entries: schedule"
    assert notes[1].startswith(
        "ignored, because no code of the file runs: objects of dill._dill._create_function"
    )
    found = load_bundle(tmp_path / "bundle").base_classifier.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


@both_formats
def test_tensors_of_every_kind_are_read_as_torch_reads_them(tmp_path: Path, zipped: bool) -> None:
    """Views and shared storages, empty tensors, half precision, parameters; of a string only the mark remains."""
    row = torch.arange(12.0)
    content = {
        "transposed": row.reshape(3, 4).T, "step": row[2:9:3], "shared": row, "empty": torch.empty(0, 2),
        "half": torch.ones(3, dtype=torch.bfloat16), "flags": torch.tensor([True, False]),
        "count": torch.tensor(7), "parameter": nn.Parameter(torch.ones(2)),
    }  # fmt: skip
    save({**content, "path": Path("x")}, tmp_path / "theirs.pt", zipped)
    found, unknown = read_pickle(tmp_path / "theirs.pt")
    assert isinstance(found, dict)
    assert found.pop("path") is UNKNOWN
    assert [name.partition(".")[0] for name in unknown] == ["pathlib"]
    assert found.keys() == content.keys()
    for key, value in content.items():
        torch.testing.assert_close(found[key], value.detach(), rtol=0, atol=0)


@both_formats
def test_containers_with_items_beside_the_weights_are_ignored(tmp_path: Path, zipped: bool) -> None:
    """PyTorch's own reader refuses such a file, whatever stands in for their names."""
    network = tiny_network()
    log = defaultdict(list, {"loss": [0.5]})
    save({"model": network.state_dict(), "log": log, "last": deque([1, 2])}, tmp_path / "theirs.pt", zipped)
    read = read_checkpoint(tmp_path / "theirs.pt", network.state_dict())
    assert read.weights.keys() == network.state_dict().keys()
    assert all(name in read.notes[1] for name in ("collections.defaultdict", "collections.deque"))


@both_formats
def test_a_command_in_a_file_is_not_run(tmp_path: Path, zipped: bool) -> None:
    """Beside the weights it is left out by name; in their place it is refused."""
    marker = tmp_path / "marker"
    command = Runs(os.system, f"touch {marker}")
    save({"state_dict": tiny_network().state_dict(), "hook": command}, tmp_path / "beside.pth", zipped)
    notes: list[str] = []
    create_bundle(tmp_path / "bundle", weights=tmp_path / "beside.pth", say=notes.append, **TINY)
    assert notes[1].endswith(f"objects of {os.system.__module__}.system")
    for name, content, reason in (
        ("whole", command, "must contain a state dict, got an object of"),
        ("nested", {"state_dict": command}, "must contain only tensors, got others in: state_dict"),
        ("key", tiny_network().state_dict() | {"bn.weight": command}, "got others in: bn.weight"),
    ):
        save(content, tmp_path / name, zipped)
        with pytest.raises(WeightsError, match=reason):
            create_bundle(tmp_path / "evil", weights=tmp_path / name, **TINY)
    assert not marker.exists()
    assert not (tmp_path / "evil").exists()


def text(words: str) -> bytes:
    return b"X" + struct.pack("<I", len(words)) + words.encode()


def programs(command: str) -> dict[str, bytes]:
    """Pickles that would run a command, or make room for one, each by other means."""
    run = text(command)
    return {
        "GLOBAL and REDUCE": b"cos\nsystem\n(" + run + b"tR.",
        "INST": b"(" + run + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + run + b"o.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(" + text("sh") + text("-c") + run + b"lt\x81.",
        "STACK_GLOBAL": b"\x80\x04" + text("os") + text("system") + b"\x93(" + run + b"tR.",
        "a dotted name": b"\x80\x04" + text("models") + text("intake.pickles.sys.modules") + b"\x93.",
        "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\n" + text("__call__") + b"tR(" + run + b"tR.",
        "eval": b"cbuiltins\neval\n(" + text(f"__import__('os').system({command!r})") + b"tR.",
        "a builder with a state": b"ctorch._utils\n_rebuild_tensor_v2\n}" + text("__call__") + b"cos\nsystem\nsb.",
        "a builder with attributes": b"ctorch._utils\n_rebuild_tensor_v2\nN}" + text("__defaults__") + b")s\x86b.",
        "a class with attributes": b"ccollections\nOrderedDict\nN}" + text("items") + b"cos\nsystem\ns\x86b.",
        "a source of a module": b"(" + text("module") + b"cos\nsystem\n" + text("f") + text("source") + b"tQ.",
    }  # fmt: skip


def legacy(program: bytes) -> bytes:
    """A file of the legacy format, without storages, whose content is what the program makes."""
    start = [pickle.dumps(part, 2) for part in (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True})]
    return b"".join([*start, program, pickle.dumps([], 2)])


@pytest.mark.parametrize("name", programs(""))
def test_no_program_of_a_pickle_runs_a_command(tmp_path: Path, name: str) -> None:
    """It is refused as weights, and what is read after it is read as before."""
    marker = tmp_path / "marker"
    program = programs(f"touch {marker}")[name]
    (tmp_path / "legacy.pth").write_bytes(legacy(program))
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
    (tmp_path / "bare.pth").write_bytes(program)
    network = tiny_network()
    save({"state_dict": network.state_dict(), "path": Path("x")}, tmp_path / "good.pth", zipped=False)
    for file in ("legacy.pth", "zip.pth", "bare.pth"):
        with pytest.raises(WeightsError, match=r"'weights' .*\.pth must"):
            read_checkpoint(tmp_path / file, network.state_dict())
    assert (
        read_checkpoint(tmp_path / "good.pth", network.state_dict()).weights.keys()
        == network.state_dict().keys()
    )
    assert not marker.exists()


@pytest.mark.parametrize("name", ["a builder with a state", "a builder with attributes"])
def test_what_builds_tensors_cannot_be_changed_by_a_pickle(tmp_path: Path, name: str) -> None:
    """It would stay changed for the files that are read later."""
    (tmp_path / "legacy.pth").write_bytes(legacy(programs("")[name]))
    with pytest.raises(pickle.UnpicklingError, match="AttributeError"):
        read_pickle(tmp_path / "legacy.pth")


def test_the_programs_would_run_elsewhere(tmp_path: Path) -> None:
    """Else their refusal would prove nothing: Python's own unpickler runs these five."""
    for name in ("GLOBAL and REDUCE", "INST", "STACK_GLOBAL", "getattr", "eval"):
        marker = tmp_path / name.replace(" ", "-")
        program = programs(f"touch {marker}")[name]
        subprocess.run([sys.executable, "-c", f"import pickle; pickle.loads({program!r})"], check=True)
        assert marker.exists(), name


@both_formats
@pytest.mark.parametrize("lost", [1, 10_000])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, zipped: bool, lost: int) -> None:
    """Whether its last number is missing or most of it."""
    save({"state_dict": tiny_network().state_dict(), "path": Path("x")}, tmp_path / "whole.pth", zipped)
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[:-lost])
    with pytest.raises(WeightsError, match=r"cut\.pth (must|cannot be read)"):
        read_checkpoint(tmp_path / "cut.pth", [])
