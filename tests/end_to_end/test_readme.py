"""README stays true: every command in it runs, in the order in which a reader meets them."""

import gzip
import os
import shlex
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from radii.own_key import plain_file
from radii.stack import free_port
from tests.support.command_line import ROOT
from tests.support.readme import COMMANDS, PROGRAMS, asks, environment, make_desk, run
from tests.support.service import is_ready
from tests.support.waiting import until

NETWORK = """
from torch import nn

def build(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks as a reader's does: the clone, a package of theirs, weights of theirs."""
    folder = make_desk(tmp_path_factory.mktemp("desk"))
    (folder / "mypackage").mkdir()
    (folder / "mypackage" / "__init__.py").touch()
    (folder / "mypackage" / "networks.py").write_text(NETWORK)
    code = (
        "from safetensors.torch import save_file; from mypackage.networks import build; "
        "save_file(build(16).state_dict(), 'weights.safetensors')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=environment(folder))
    write_tiny_data(folder / "data")
    return folder


def write_tiny_data(folder: Path) -> None:
    """Fashion-MNIST's four files, with a few images of noise."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for split, number in (("train", 1200), ("t10k", 100)):
        images = random.integers(0, 256, (number, 28, 28), dtype=np.uint8)
        labels = np.arange(number, dtype=np.uint8) % 10
        header = struct.pack(">IIII", 2051, number, 28, 28)
        with gzip.open(folder / f"{split}-images-idx3-ubyte.gz", "wb") as file:
            file.write(header + images.tobytes())
        with gzip.open(folder / f"{split}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">II", 2049, number) + labels.tobytes())


def test_readme_has_commands() -> None:
    """The parser above has not gone blind."""
    assert {"make demo", "make test", "radii serve"} <= set(COMMANDS)
    assert all(any(name in program for program in PROGRAMS) for name in ("Client", "SmoothedClassifier"))


@pytest.mark.parametrize("command", [command for command in COMMANDS if not asks(command)])
def test_a_command_of_readme_runs(command: str, desk: Path) -> None:
    """For real; `make` is asked what it would do, since this very test is part of `make test`."""
    if command.startswith("make "):
        check_make(command.split()[1], desk)
    elif command.startswith("radii serve"):
        check_serve(command, desk)
    elif command.startswith("radii train"):
        run(f"{command} --data {desk / 'data'} --epochs 1 --held-out 200", desk)
    else:
        run(command, desk)


def check_make(target: str, desk: Path) -> None:
    """The target exists and ends in the command that does the work; `make demo`'s is run."""
    # The outer make, which runs this test, leaves its flags in the environment.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    planned = subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=clean, capture_output=True, text=True, check=True
    ).stdout
    planned_lines = planned.strip().splitlines()  # what installs comes first, where that is not done yet
    if target == "test":
        words = shlex.split(planned_lines[-1].partition("-m pytest ")[2])
        assert words
        assert all(word.startswith("--") and "ignore" not in word for word in words)  # nothing is left out
        return
    assert planned_lines[-1].endswith("radii demo")
    ran = subprocess.run(
        [sys.executable, "-m", "radii", "demo"],
        capture_output=True,
        text=True,
        env=environment(desk),
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr
    assert "certified radius" in ran.stdout


def check_serve(command: str, desk: Path) -> None:
    """It comes up, and one Ctrl-C stops all of it."""
    port = free_port()
    store = desk / f"store-{port}"
    words = [
        sys.executable,
        "-m",
        *command.split(),
        "--port",
        str(port),
        "--data-dir",
        str(store),
    ]
    process = subprocess.Popen(words, cwd=desk, env=environment(desk), stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: process.poll() is not None or is_ready(f"http://127.0.0.1:{port}"))
        assert process.poll() is None, process.communicate()[1]
        key = {"X-API-Key": plain_file(store).read_text().strip()}
        models = httpx.get(f"http://127.0.0.1:{port}/models", headers=key).json()["models"]
        names = {model["name"] for model in models}
        assert names >= ({"mine", "resnet18"} if "--models" in command else {"fashion-mnist-gaussian"})
        said = read_until(process, str(plain_file(store)))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0, errors
    assert key["X-API-Key"] not in said + errors  # it says where the key is, and not what it is
    assert processes_that_name(f"store-{port}") == []


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What a process writes until these words are among it, however the lines are broken."""
    assert process.stderr is not None
    said = ""
    while words not in "".join(said.split()):
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def processes_that_name(word: str) -> list[str]:
    """Command lines, of this machine, with a word in them (none where there is no /proc)."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if word in line]
