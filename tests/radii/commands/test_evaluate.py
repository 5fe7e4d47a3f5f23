"""``radii evaluate`` in one process: the journal, a crash in the middle, and real certificates."""

import csv
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from typer.testing import CliRunner

from evaluation.errors import EvaluationError
from evaluation.options import plan_from
from evaluation.plan import EvaluationPlan
from models.bundles import ZOO, load_bundle, write_bundle
from models.data import DatasetError, load_dataset
from models.images import as_pixels
from radii.fanout import Fanout
from radii.main import app
from smoothing import Gaussian, Looks, certify
from tests.models.support import describe, tiny_network, write_synthetic_fashion
from tests.support.command_line import radii
from tests.support.store import open_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic data set."""
    return write_synthetic_fashion(tmp_path_factory.mktemp("fashion"))


@pytest.fixture(scope="module")
def small(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network for the synthetic images."""
    dataset = load_dataset("fashion-mnist", data)
    folder = tmp_path_factory.mktemp("bundles") / "small"
    description = describe(name="small", classes=dataset.classes, input_shape=(1, 12, 12))
    write_bundle(folder, description, tiny_network(num_classes=10), clean=dataset.train.images)
    return folder


@pytest.fixture(autouse=True)
def _same_logs() -> Iterator[None]:
    """The command line quietens the log of its process, which is this one."""
    yield
    structlog.reset_defaults()


def arguments(bundle: Path, data: Path, out: Path) -> list[str]:
    """An evaluation of twelve images at two levels, and a picture."""
    return [
        "evaluate", str(bundle), "--data", str(data), "--out", str(out), "--sigma", "0.1,0.5", "--adapt", "no",
        "--n", "3000", "--images", "12", "--backend", "eager", "--dtype", "float32", "--threads", "1",
        "--suite", "certify", "--suite", "gradients",
    ]  # fmt: skip


def decided(folder: Path) -> dict[str, bytes]:
    """All that is the same for equal evaluations; pytest's own command line is not the evaluation's."""
    apart = {"timings.csv", "report.html", "journal.sqlite", "results.json"}
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in apart}
    results = json.loads((folder / "results.json").read_text())
    return {**files, "results": json.dumps([results["plan"], results["tables"]]).encode()}


def measured(folder: Path) -> list[tuple[str, str, str]]:
    """What the journal of a folder holds besides its header, in the order of measuring."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as store:
        return store.execute("SELECT * FROM measurements WHERE suite != 'journal' ORDER BY rowid").fetchall()


def test_a_killed_evaluation_goes_on_and_gives_the_same_tables(
    small: Path, data: Path, tmp_path: Path
) -> None:
    """SIGKILL in the middle, the same command again: the files are those of an uninterrupted run."""
    out, journal = tmp_path / "killed", tmp_path / "killed" / "journal.sqlite"
    command = [sys.executable, "-m", "radii", *arguments(small, data, out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b'"record"') < 5:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = measured(out)
    assert 4 <= len(before) < 24
    resumed = CliRunner().invoke(app, arguments(small, data, out))
    assert resumed.exit_code == 0, resumed.output
    after = measured(out)
    assert after[: len(before)] == before
    assert len(after) == 24 + 1  # certificates, gradients
    untouched = CliRunner().invoke(app, arguments(small, data, tmp_path / "untouched"))
    assert untouched.exit_code == 0, untouched.output
    assert decided(out) == decided(tmp_path / "untouched")
    assert "certified-accuracy-l2.csv" in decided(out)


@pytest.mark.parametrize(
    ("suite", "row", "told"),
    [
        (
            "certify",
            lambda row: row["record"].update(n=300),
            "'n' must be 300, as where this evaluation was begun, got 200",
        ),
        (
            "noise",
            lambda row: row.update(device="cuda"),
            "'device' must be cuda, as where this evaluation was begun, got cpu",
        ),
    ],
)
def test_what_was_begun_elsewhere_is_not_gone_on_with(
    suite: str, row: Callable[[dict[str, Any]], None], told: str, small: Path, data: Path, tmp_path: Path
) -> None:
    """Where another default or device would give other measurements, tables must not mix them."""
    words = (
        ["--sigma", "0.1", "--adapt", "no", "--n", "200", "--backend", "eager", "--dtype", "float32"]
        if suite == "certify"
        else ["--noise-sigmas", "0.1"]
    )
    asked = ["evaluate", str(small), "--data", str(data), "--out", str(tmp_path), "--suite", suite,
             "--images", "3", *words]  # fmt: skip
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as store:
        first, text = store.execute("SELECT key, row FROM measurements WHERE suite = ?", (suite,)).fetchone()
        begun = json.loads(text)
        row(begun)
        store.execute("DELETE FROM measurements WHERE suite = ?", (suite,))
        store.execute("INSERT INTO measurements VALUES (?, ?, ?)", (suite, first, json.dumps(begun)))
        store.commit()
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 1
    assert told in " ".join(ran.output.split())


@pytest.mark.parametrize(
    ("words", "tables"),
    [
        (("--noise", "uniform", "--sigma", "0.2"), ["certified-accuracy-l1", "p-lower-uniform"]),
        (
            ("--noise", "hybrid", "--sigma", "0.2", "--sigma-uniform", "0.3"),
            [
                "certified-accuracy-l1",
                "certified-accuracy-l2",
                "p-lower-gaussian",
                "p-lower-uniform",
                "same-class",
            ],
        ),
        (("--noise-level", "auto", "--sigma-grid", "0.1,0.3"), ["certified-accuracy-l2"]),
        (("--noise-level", "optimize", "--sigma", "0.2"), ["certified-accuracy-l2"]),
    ],
)
def test_every_noise_and_every_choice_of_level_gives_its_tables(
    words: tuple[str, ...], tables: list[str], small: Path, data: Path, tmp_path: Path
) -> None:
    """Adapted, as the service does where it is not asked; levels chosen per image are those of the records."""
    asked = ["--n", "200", "--images", "2", "--backend", "eager", "--dtype", "float32", *words]
    ran = CliRunner().invoke(
        app, ["evaluate", str(small), "--data", str(data), "--out", str(tmp_path), *asked]
    )
    assert ran.exit_code == 0, ran.output
    for table in tables:
        assert (tmp_path / f"{table}.csv").exists()
    with (tmp_path / "records.csv").open() as file:
        records = list(csv.DictReader(file))
    assert len(records) == 2
    assert all("adapted" in record["run"] for record in records)
    if "--sigma-grid" in words:
        assert {record["sigma"] for record in records} <= {"0.1", "0.3"}


def test_bounds_are_a_suite_of_the_command_line(small: Path, data: Path, tmp_path: Path) -> None:
    """At the level and with the votes that are asked for; the plan is known without measuring."""
    asked = [
        str(small),
        "--suite",
        "bounds",
        "--sigma",
        "0.1",
        "--adapt",
        "no",
        "--n",
        "200",
        "--images",
        "3",
    ]
    ran = CliRunner().invoke(app, ["evaluate", *asked, "--data", str(data), "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    with (tmp_path / "bounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["bound"], row["images"]) for row in rows] == [
        ("small, as trained, σ = 0.1", bound, "3") for bound in ("one_sided", "two_sided", "t_certify")
    ]
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row[1] for row in results["tables"]["bounds-images"]["rows"]] == [0, 1, 2]
    options = {"suite": "bounds", "sigma": "0.1", "adapt": "no", "n": "200", "images": 3}
    plan = EvaluationPlan.model_validate(results["plan"])
    assert plan == plan_from(plan.bundles, options)
    told = shlex.split(results["command"])
    assert sorted(told) == sorted(["radii", "evaluate", *asked, "--out", "FOLDER"])


@pytest.mark.parametrize(("suite", "table"), [("bounds", "bounds"), ("levels", "levels")])
def test_votes_are_counted_as_the_options_say(
    suite: str, table: str, small: Path, data: Path, tmp_path: Path
) -> None:
    """Backend and precision of the command line, in the table of what executed them."""
    ran = CliRunner().invoke(
        app,
        [
            "evaluate", str(small), "--suite", suite, "--sigma", "0.1", "--n", "200", "--images", "2",
            "--backend", "eager", "--dtype", "bfloat16", "--data", str(data), "--out", str(tmp_path),
        ],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    with (tmp_path / f"{table}.csv").open() as file:
        assert {row["executed by"] for row in csv.DictReader(file)} == {"eager bfloat16"}


def test_what_was_measured_before_stays_in_the_report(small: Path, data: Path, tmp_path: Path) -> None:
    """A folder that gets another suite: JSON, page and command tell of both."""
    shared = ["evaluate", str(small), "--images", "2", "--data", str(data), "--out", str(tmp_path)]
    for suite in ("noise", "gradients"):
        ran = CliRunner().invoke(app, [*shared, "--suite", suite])
        assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert {table["suite"] for table in results["tables"].values()} == {"noise"}  # gradients are pictures
    assert results["plan"]["suites"] == ["noise", "gradients"]
    assert "--suite noise --suite gradients --images 2 --out FOLDER" in results["command"]
    page = (tmp_path / "report.html").read_text()
    assert page.index('id="noise"') < page.index('id="gradients"')
    journal = measured(tmp_path)
    whole = (tmp_path / "results.json").read_bytes()
    ran = CliRunner().invoke(app, [*shared, "--suite", "noise", "--suite", "gradients"])
    assert ran.exit_code == 0, ran.output
    assert measured(tmp_path) == journal  # nothing was measured again
    assert json.loads(whole)["tables"] == json.loads((tmp_path / "results.json").read_text())["tables"]
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as store:
        store.execute("DELETE FROM measurements WHERE suite = 'noise' AND rowid > 3")
        store.commit()
    ran = CliRunner().invoke(app, [*shared, "--suite", "gradients"])
    assert "not in the report: noise" in " ".join(ran.output.split())
    assert json.loads((tmp_path / "results.json").read_text())["plan"]["suites"] == ["gradients"]


def test_a_folder_that_is_a_file_is_told(small: Path, data: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "file", tmp_path / "file" / "inside"):
        (tmp_path / "file").write_text("text")
        ran = CliRunner().invoke(app, ["evaluate", str(small), "--data", str(data), "--out", str(out)])
        assert ran.exit_code == 1
        assert isinstance(ran.exception, SystemExit)
        assert "'out' must be a folder that can be written" in " ".join(ran.output.split())


def test_what_cannot_be_adapted_has_no_bounds_under_adaptation(data: Path, tmp_path: Path) -> None:
    """It is told before anything is measured."""
    dataset = load_dataset("fashion-mnist", data)
    folder = tmp_path / "bare"
    description = describe(name="bare", classes=dataset.classes, input_shape=(1, 12, 12))
    write_bundle(folder, description, tiny_network(num_classes=10))
    words = ["--suite", "bounds", "--adapt", "yes", "--data", str(data), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, ["evaluate", str(folder), *words])
    assert ran.exit_code == 1
    assert "'adapt' must be no for bare, got 'yes'" in " ".join(ran.output.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), ["nowhere", "card.json"]),
        (("small", "--data", "nowhere"), ["'dataset'", "nowhere"]),
        (("fashion-mnist-gaussian",), ["'fashion-mnist-gaussian' must", "(1, 12, 12)"]),
        (("small", "--sigma", "a"), ["'sigma'", "'a'"]),
        (("small", "--n", "5"), ["'n' must be >= 10"]),
        (("small", "--alpha", "0.7"), ["alpha", "0.7"]),
        (("small", "--sigma-grid", "0.1", "--sigma", "0.5"), ["'sigma'", "'noise_level' = auto"]),
        (("small", "--momentum", "3"), ["momentum"]),
        (("small", "--suite", "corruptions", "--baseline", "other"), ["'baseline'", "other"]),
        (("small", "--redis-url", "redis://127.0.0.1:1/0"), ["'redis-url'"]),
        (("small", "--sigma", "0.5,0.5"), ["'sigmas' must hold no value twice, got 0.5, 0.5"]),
        (("small", "--sigma", ""), ["'sigma' must hold a value, or several with commas between, got []"]),
        (
            ("small", "--suite", "bounds", "--n", "5"),
            ["'n' must be >= 10 for 'alpha' = 0.001, got 5"],
        ),
        (
            ("small", "--suite", "bounds", "--momentum", "1.5"),
            ["momentum", "less than or equal to 1, got 1.5"],
        ),
        (("small", "--suite", "attacks", "--epsilons-l2", ""), ["'epsilons-l2' must hold a value", "got []"]),
        (
            ("small", "--suite", "corruptions", "--corruption", "fogg"),
            ["'corruption' Input should be 'gaussian_noise'", "got 'fogg'"],
        ),
        (
            ("small", "--suite", "corruptions", "--corruption", "elastic_transform"),
            ["'corruption' must hold one that applies", "elastic_transform: it moves"],
        ),
        (
            ("small", "--suite", "noise", "--momentum", "0.3"),
            ["'momentum' must be omitted unless --suite has certify or bounds, got '0.3' for noise"],
        ),
        (
            ("small", "--suite", "noise", "--clean-size", "16"),
            ["'clean-size' must be omitted unless --suite has certify or bounds, got '16' for noise"],
        ),
        (("small", "--attack-steps", "3"), ["'attack-steps'", "--suite has attacks, got '3' for certify"]),
        (
            ("small", "--corruption", "fog"),
            ["'corruption'", "--suite has corruptions, got 'fog' for certify"],
        ),
        (
            ("small", "--suite", "levels", "--sigma", "0.2,0.5"),
            ["'sigma' must be one number", "levels", "0.2,0.5"],
        ),
        (("small", "--suite", "levels", "--n", "50"), ["levels.n", "100", "got 50"]),
        (("small", "--skip", "0"), ["'skip'", "greater than 0, got 0"]),
        pytest.param(
            ("small", "--suite", "noise", "--device", "cuda"),
            ["'device' cuda must exist, got 0 CUDA devices"],
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        (
            ("small", "--redis-url", "redis://127.0.0.1:1/0", "--dtype", "float32"),
            ["'dtype' must be omitted where --redis-url leaves it to workers, got 'float32'"],
        ),
        # Certificates come first, and are not begun where a later suite is impossible.
        (
            ("small", "--suite", "certify", "--suite", "levels", "--alpha", "1e-40", "--n", "120"),
            ["'n' must be >="],
        ),
    ],
)
def test_what_is_impossible_is_told_and_nothing_is_written(
    words: tuple[str, ...], expected: list[str], small: Path, data: Path, tmp_path: Path
) -> None:
    """By field, rule and value."""
    asked = [str(small) if word == "small" else word for word in words]
    ran = CliRunner().invoke(app, ["evaluate", "--data", str(data), "--out", str(tmp_path / "out"), *asked])
    said = " ".join(ran.output.split())
    assert ran.exit_code == 1, said
    assert isinstance(ran.exception, SystemExit)
    for word in expected:
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_certificates_of_a_shipped_bundle_are_those_of_the_library(tmp_path: Path) -> None:
    """Twenty test images: as good as its card says, and vote for vote what `smoothing.certify` counts."""
    try:
        test = load_dataset("fashion-mnist").test
    except DatasetError as error:
        pytest.skip(f"Fashion-MNIST is not on this machine: {error}")
    name = "fashion-mnist-gaussian"
    ran = radii(
        "evaluate", name, "--out", str(tmp_path), "--sigma", "0.5", "--adapt", "no", "--n", "200",
        "--images", "20", "--skip", "7", "--backend", "eager", "--dtype", "float32",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    with (tmp_path / "records.csv").open() as file:
        records = list(csv.DictReader(file))
    assert [int(record["index"]) for record in records] == list(range(0, 140, 7))
    assert sum(int(record["correct"]) for record in records) >= 14
    bundle = load_bundle(ZOO / name)
    for record in records[:3]:
        index = int(record["index"])
        found = certify(
            bundle.base_classifier,
            as_pixels(test.images[index]),
            Gaussian(0.5),
            n=200,
            stop=Looks(give_up=0.001),
            batch_size=100,
            seed=EvaluationPlan(bundles={}, suites=()).image_seed(index),
        )
        assert int(record["top count"]) == int(found.counts[found.top_class])
        assert float(record["p lower"]) == found.bound.p_lower
        assert 0 <= found.radius.l2 - float(record["radius l2"]) < 2e-6
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["command"].startswith("radii evaluate fashion-mnist-gaussian --sigma 0.5")
    assert str(tmp_path) not in results["command"]


def test_the_workers_store_is_found_as_workers_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no address is told in one message; the password may lie in a file."""
    for address in ("localhost:6379", "redis://[::1"):
        with pytest.raises(EvaluationError, match="'redis-url' must be redis://"):
            Fanout(address, "run", 1)
    (tmp_path / "password").write_text("s3cret\n")
    with open_store(tmp_path) as (redis, _):
        redis.ping()
        monkeypatch.setenv("RADII_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
        port = redis.connection_pool.connection_kwargs["port"]
        with (
            Fanout(f"redis://127.0.0.1:{port}/0", "run", 1) as fanout,
            pytest.raises(EvaluationError, match="without workers"),  # so it was let in
        ):
            fanout.models()
