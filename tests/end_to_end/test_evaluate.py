"""``radii evaluate`` over the workers of a running stack: the same tables, and no job twice."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.models.support import write_synthetic_fashion
from tests.support.command_line import radii
from tests.support.service import Service

_APART = {"timings.csv", "report.html", "journal.sqlite"}


def decided(folder: Path) -> dict[str, bytes]:
    """All files that are the same for equal evaluations."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in _APART}


def jobs(running: Service) -> int:
    """How many jobs were ever submitted."""
    return sum(1 for _ in running.redis.scan_iter("radii:job:*:submission"))


def test_two_workers_give_the_table_of_one_process(running: Service, tmp_path: Path) -> None:
    """Byte for byte, both having worked; and a journal that lost measurements gets them back without a new job."""
    (tmp_path / "data").mkdir()
    data = write_synthetic_fashion(tmp_path / "data", size=28)
    asked = (
        "evaluate", "fashion-mnist-gaussian", "--data", str(data), "--sigma", "0.5", "--adapt", "both",
        "--n", "500", "--images", "4",
    )  # fmt: skip
    fanned, alone = tmp_path / "fanned", tmp_path / "alone"
    over = (*asked, "--redis-url", running.redis_url, "--in-flight", "3", "--out", str(fanned))
    before = jobs(running)
    earlier = set(running.redis.keys("rq:job:*"))
    ran = radii(*over)
    assert ran.returncode == 0, ran.stderr
    assert jobs(running) == before + 8
    ours = set(running.redis.keys("rq:job:*")) - earlier
    assert len({running.redis.hget(key, "worker_name") for key in ours}) == 2
    ran = radii(*asked, "--out", str(alone))
    assert ran.returncode == 0, ran.stderr
    assert decided(fanned) == decided(alone)

    with closing(sqlite3.connect(fanned / "journal.sqlite")) as journal:
        journal.execute("DELETE FROM measurements WHERE rowid > 5")  # the header, and four certificates
        journal.commit()
    ran = radii(*over)
    assert ran.returncode == 0, ran.stderr
    assert jobs(running) == before + 8
    assert decided(fanned) == decided(alone)


def test_a_refused_question_is_told_and_nothing_is_submitted(running: Service, tmp_path: Path) -> None:
    """The worker's model would take it; the field does not."""
    before = jobs(running)
    ran = radii(
        "evaluate", "fashion-mnist-gaussian", "--sigma", "0.5", "--n", "5", "--images", "2",
        "--redis-url", running.redis_url, "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert ran.returncode == 1
    assert "'n' must be >= 10" in " ".join(ran.stderr.split())
    assert jobs(running) == before
