"""Accuracy under noise, as trained and adapted."""

import pytest
import torch

from evaluation.statistics.intervals import mean_interval
from evaluation.subject import right_answers
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench
from smoothing import Gaussian


def test_the_noise_table_has_adapted_and_trained_side_by_side(bench: Bench) -> None:
    """One line per bundle and level; clean images are answered once; sweeps leave out sizes that are not there."""
    suite = SUITES["noise"]
    rows = [cell.measure() for cell in suite.cells(bench)]
    tables = {table.name: table for table in suite.outcome(bench.plan, rows).tables}
    clean, noisy = tables["noise"].rows
    right = int(right_answers(bench.subjects[0].module, bench.images).sum())
    assert clean == ("small", 0.0, 12, right / 12, None)
    assert noisy[1] == 0.25
    assert noisy[4] is not None
    assert [line[1] for line in tables["noise-clean-size"].rows] == [8]
    assert [line[:3] for line in tables["noise-momentum"].rows] == [("small", 0.0, 2), ("small", 1.0, 2)]
    assert [line[1] for line in tables["noise-source"].rows] == ["training", "test"]
    trained = tables["noise-momentum"].rows[0]
    assert trained[3] == noisy[3]  # the same level, nothing adapted
    assert trained[5:] == pytest.approx(mean_interval([float(digit) for digit in rows[1]["right"]]))


def test_no_momentum_is_no_adaptation(bench: Bench) -> None:
    subject = bench.subjects[0]
    assert subject.adapted(Gaussian(0.5), seed=0, stream="0", momentum=0.0) is subject.module
    adapted = subject.adapted(Gaussian(0.5), seed=0, stream="0")
    again = subject.adapted(Gaussian(0.5), seed=0, stream="0")
    other = subject.adapted(Gaussian(0.5), seed=0, stream="1")
    probe = bench.images.pixels
    assert torch.equal(adapted(probe), again(probe))
    assert not torch.equal(adapted(probe), other(probe))
