"""The journal of an evaluation: it remembers, survives a kill, and reads what earlier versions wrote."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evaluation.errors import EvaluationError, OtherPlanError
from evaluation.journal import Journal, set_aside
from evaluation.plan import EvaluationPlan

PLAN = EvaluationPlan.model_validate({"bundles": {"one": "1" * 64}, "suites": ("noise",), "images": 3})
OTHER = PLAN.model_copy(update={"images": 4})
EARLIER_HEADER = {"format": 1, "run": "5" * 32, "plan": PLAN.model_dump(mode="json")}


def test_a_journal_remembers(tmp_path: Path) -> None:
    """What was appended is there after opening it again, in order, under the same name of the run."""
    with Journal(tmp_path, PLAN) as journal:
        run = journal.run
        assert journal.get("noise", "a") is None
        journal.append("noise", "b", {"right": 3})
        journal.append("noise", "a", {"right": 4})
    with Journal(tmp_path, PLAN) as journal:
        assert journal.run == run
        assert journal.get("noise", "b") == {"right": 3}
        assert journal.rows("noise") == [{"right": 3}, {"right": 4}]
        assert journal.get("attacks", "b") is None


_APPENDING = """
import sys
from pathlib import Path
from evaluation.journal import Journal
from evaluation.plan import EvaluationPlan
plan = EvaluationPlan.model_validate_json(sys.argv[2])
with Journal(Path(sys.argv[1]), plan) as journal:
    for place in range(int(sys.argv[3]), 10**9):
        journal.append("noise", str(place), {"place": place, "text": "x" * 3000})
        print(place, flush=True)
"""


def test_a_kill_loses_at_most_the_measurement_under_way(tmp_path: Path) -> None:
    """SIGKILL at any place of a write: what was acknowledged is there, and at most one measurement more."""
    known = 0
    for kill_after in (1, 2, 7, 12):
        words = [sys.executable, "-c", _APPENDING, str(tmp_path), PLAN.model_dump_json(), str(known)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(kill_after)]
            process.kill()
            told += [int(line) for line in process.stdout]
        with Journal(tmp_path, PLAN) as journal:
            places = [row["place"] for row in journal.rows("noise")]
        assert places == [*range(len(places))]
        assert len(places) - (told[-1] + 1) in (0, 1)
        known = len(places)


def test_another_plan_is_refused_and_more_suites_are_not(tmp_path: Path) -> None:
    with Journal(tmp_path, PLAN) as journal:
        journal.begin()
    with pytest.raises(OtherPlanError, match="'images' was 3 and is 4 now"):
        Journal(tmp_path, OTHER)
    other = EvaluationPlan.model_validate({**PLAN.model_dump(), "certify": {"alpha": 0.01}})
    with pytest.raises(OtherPlanError, match=r"'certify\.asked\.alpha' was 0\.001 and is 0\.01 now"):
        Journal(tmp_path, other)
    with Journal(tmp_path, EvaluationPlan.model_validate({**PLAN.model_dump(), "suites": ["all"]})):
        pass


def test_a_journal_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "new", PLAN) as journal:
        assert journal.path.exists()
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    """The second is refused, and leaves the file of the first alone."""
    with Journal(tmp_path, PLAN) as journal:
        with pytest.raises(EvaluationError, match="in use by another process"):
            Journal(tmp_path, PLAN)
        journal.append("noise", "a", {})
    with Journal(tmp_path, PLAN) as journal:
        assert journal.get("noise", "a") == {}


def test_a_damaged_journal_is_refused_and_kept(tmp_path: Path) -> None:
    with Journal(tmp_path, PLAN) as journal:
        journal.begin()
        path = journal.path
    path.write_bytes(b"nonsense" + path.read_bytes()[8:])
    damaged = path.read_bytes()
    with pytest.raises(EvaluationError, match="must be a SQLite database"):
        Journal(tmp_path, PLAN)
    assert path.read_bytes() == damaged


def earlier(folder: Path, *entries: Any, cut: int = 0) -> Path:
    """Write a journal as earlier versions did, its end perhaps cut off."""
    path = folder / "journal.jsonl"
    text = "".join(json.dumps(entry) + "\n" for entry in (EARLIER_HEADER, *entries))
    path.write_text(text[: len(text) - cut])
    return path


A = {"suite": "noise", "key": "a", "row": {"right": 3}}
B = {"suite": "noise", "key": "b", "row": {"right": 4}}


@pytest.mark.parametrize(("cut", "kept"), [(0, [3, 4]), (1, [3]), (30, [3])])
def test_a_journal_of_an_earlier_version_goes_on(tmp_path: Path, cut: int, kept: list[int]) -> None:
    """It is copied once and stays as it is; a line that a crash cut off is measured again."""
    before = earlier(tmp_path, A, B, cut=cut).read_bytes()
    for _ in range(2):
        with Journal(tmp_path, PLAN) as journal:
            assert journal.run == EARLIER_HEADER["run"]
            assert [row["right"] for row in journal.rows("noise")] == kept
    with Journal(tmp_path, PLAN) as journal:
        journal.append("noise", "b", {"right": 5})
        assert journal.get("noise", "b") == {"right": 5}
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_an_earlier_journal_of_another_plan_or_of_nonsense_is_refused(tmp_path: Path) -> None:
    path = earlier(tmp_path, A)
    with pytest.raises(OtherPlanError, match="'images' was 3 and is 4 now"):
        Journal(tmp_path, OTHER)
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    with pytest.raises(EvaluationError, match="an object of JSON on each line"):
        Journal(tmp_path, PLAN)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.jsonl"]


@pytest.mark.parametrize("cut_off", ["", '{"format": 1, "run"'])
def test_an_earlier_journal_that_never_got_its_header_is_a_new_one(tmp_path: Path, cut_off: str) -> None:
    (tmp_path / "journal.jsonl").write_text(cut_off)
    assert set_aside(tmp_path, PLAN) is None
    for _ in range(2):
        with Journal(tmp_path, PLAN) as journal:
            journal.append("noise", "a", {"right": 3})
            assert journal.rows("noise") == [{"right": 3}]


@pytest.mark.parametrize("missing", ["format", "run", "plan", "all", "object"])
def test_an_earlier_header_that_lacks_something_is_refused_and_not_copied(
    tmp_path: Path, missing: str
) -> None:
    header: Any = {field: value for field, value in EARLIER_HEADER.items() if field != missing}
    header = {"all": {}, "object": []}.get(missing, header)
    (tmp_path / "journal.jsonl").write_text(json.dumps(header) + "\n")
    for _ in range(2):
        with pytest.raises(EvaluationError, match="must begin with format, run and plan"):
            Journal(tmp_path, PLAN)
        with pytest.raises(EvaluationError, match="must begin with format, run and plan"):
            set_aside(tmp_path, PLAN)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.jsonl"]


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", None])
def test_a_file_of_others_is_kept(tmp_path: Path, statement: str | None) -> None:
    """A database of theirs is refused, and nothing is written into it; an empty file may be used."""
    path = tmp_path / "journal.sqlite"
    path.touch()
    if statement is not None:
        store = sqlite3.connect(path)
        store.execute(statement)
        store.close()
        theirs = path.read_bytes()
        with pytest.raises(EvaluationError, match="must be the journal of an evaluation"):
            Journal(tmp_path, PLAN)
        assert path.read_bytes() == theirs
    else:
        with Journal(tmp_path, PLAN):
            pass
        assert path.exists()


def test_a_journal_of_another_plan_is_set_aside(tmp_path: Path) -> None:
    """Of this version or of an earlier one; that of the same plan stays."""
    earlier(tmp_path, A)
    assert set_aside(tmp_path, PLAN) is None
    assert set_aside(tmp_path, OTHER) == tmp_path / "journal.stale.sqlite"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.stale.jsonl", "journal.stale.sqlite"]
    assert set_aside(tmp_path / "nowhere", PLAN) is None
    with Journal(tmp_path, OTHER) as journal:
        assert journal.rows("noise") == []
