"""The suites on a small network and twenty synthetic images: what they measure, and that it repeats."""

import base64
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy.stats import beta, norm
from torch import Tensor

from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from evaluation.report.contents import Table
from evaluation.statistics.intervals import mean_interval
from evaluation.subject import Images, Subject, choose_images, right_answers
from evaluation.suites.attacks import standing_answers
from evaluation.suites.bounds import certified_radius
from evaluation.suites.gradients import loss_gradients
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench
from models.backends import BACKENDS
from models.bundles import load_bundle, write_bundle
from models.data import load_dataset
from smoothing import Gaussian
from tests.models.support import describe, require_corruptions, tiny_network

CLASSES = tuple("abcdefghij")
SMALL = {
    "bundles": {"small": "0" * 64},
    "suites": ("noise",),
    "images": 12,
    "noise": {
        "sigmas": (0.25,),
        "sweep_sigma": 0.25,
        "momenta": (0.0, 1.0),
        "clean_sizes": (8, 1000),
        "draws": 2,
    },
    "attacks": {"epsilons_l2": (0.2, 1.0), "epsilons_linf": (0.02, 0.2), "steps": 3, "ensembles": (1, 2)},
    "corruptions": {
        "names": ("contrast", "gaussian_noise", "elastic_transform"),
        "severities": (1, 5),
        "clean_size": 8,
    },
    "certify": {"sigmas": (0.25,), "n": 300, "n0": 20, "radii": (0.0, 0.25)},
    "levels": {"steps": (0, 2), "n": 100, "sigma": 0.25},
    "gradients": {"images": 2, "sigmas": (0.0, 0.5)},
}


@pytest.fixture(scope="module")
def bench(synthetic_fashion: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """An untrained network with a clean set, and images of the synthetic test split."""
    dataset = load_dataset("fashion-mnist", synthetic_fashion)
    folder = tmp_path_factory.mktemp("evaluated") / "small"
    write_bundle(
        folder,
        describe(name="small", classes=CLASSES, input_shape=(1, 12, 12)),
        tiny_network(num_classes=10),
        clean=dataset.train.images,
        clean_labels=dataset.train.labels,
    )
    plan = EvaluationPlan.model_validate(SMALL)
    device = torch.device("cpu")
    images = choose_images(dataset.test, plan.images, plan.every)
    unseen = choose_images(dataset.test.take(np.arange(12, 20)), 8, 1)
    return Bench(plan, [Subject(load_bundle(folder), device)], images, unseen, CLASSES)


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_measures_the_same_again(name: str, bench: Bench) -> None:
    """A resumed evaluation mixes measurements of several processes: they must not depend on their order."""
    if name == "corruptions":
        require_corruptions()
    suite = SUITES[name]
    cells = list(suite.cells(bench))
    assert len({cell.key for cell in cells}) == len(cells)
    rows = [cell.measure() for cell in cells]
    last = list(suite.cells(bench))[-1]
    assert last.measure() == rows[-1]
    outcome = suite.outcome(bench.plan, rows)
    assert outcome.tables or outcome.pictures
    for table in (*outcome.tables, *outcome.details):
        assert all(len(row) == len(table.columns) for row in table.rows)
    for chart in outcome.charts:
        assert all(len(line.x) == len(line.y) > 0 for line in chart.lines)


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


def test_larger_balls_turn_more_images(bench: Bench) -> None:
    """As trained, adapted, and over one and two other adapted classifiers; each ball on its own."""
    suite = SUITES["attacks"]
    cells = list(suite.cells(bench))
    rows = [cell.measure() for cell in cells]
    for table in suite.outcome(bench.plan, rows).tables:
        assert [line[1] for line in table.rows] == [
            "as trained, PGD", "adapted, PGD", "adapted, EoT-PGD over 1", "adapted, EoT-PGD over 2",
        ]  # fmt: skip
        for line in table.rows:
            shares = [float(str(value)) for value in line[3:]]
            assert shares == sorted(shares, reverse=True)


def test_an_attack_of_a_larger_ball_is_stronger_by_itself() -> None:
    """Two classes told apart by the mean pixel: PGD turns exactly the images within its reach of the boundary."""

    class Mean(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            above = images.flatten(1).mean(1) - 0.5
            return 20 * torch.stack((-above, above), dim=1)

    classifier, levels = Mean().eval(), torch.linspace(0.55, 0.95, 5)
    images = Images(levels.view(5, 1, 1, 1).expand(5, 1, 4, 4).clone(), torch.ones(5).long(), tuple(range(5)))
    shares = []
    for epsilon in (0.02, 0.1, 0.2, 0.3, 0.42):
        _, right = standing_answers(
            classifier, [classifier], images, norm="linf", epsilons=[epsilon], steps=10, seed=0
        )
        shares.append(int(right.sum()))
    assert shares == [5, 4, 3, 2, 1]


def test_an_attack_that_sees_its_victim_is_the_strongest(bench: Bench) -> None:
    """Over others that were adapted likewise it is a transfer attack: weaker, or as strong."""
    found = {}
    for cell in SUITES["attacks"].cells(bench):
        if "/l2/adapted" in cell.key:
            row = cell.measure()
            found[row["attack"]] = row["right"][-1].count("1")
    assert found["adapted, PGD"] <= min(found.values())


def test_ensembles_are_of_1_5_and_10_unless_asked_otherwise() -> None:
    assert EvaluationPlan(bundles={}, suites=("attacks",)).attacks.ensembles == (1, 5, 10)


def test_the_baseline_s_corruption_error_is_one(bench: Bench) -> None:
    """And what cannot be applied to small images is left out and said so."""
    require_corruptions()
    suite = SUITES["corruptions"]
    rows = [cell.measure() for cell in suite.cells(bench)]
    summary, each = suite.outcome(bench.plan, rows).tables
    trained = dict(zip(summary.columns, summary.rows[0], strict=True))
    assert trained["classifier"] == "small, as trained"
    assert [trained[f"mCE{end}"] for end in ("", " from", " to")] == pytest.approx([1.0] * 3)
    adapted = dict(zip(summary.columns, summary.rows[1], strict=True))
    assert float(str(adapted["mCE from"])) < float(str(adapted["mCE"])) < float(str(adapted["mCE to"]))
    assert float(str(adapted["error from"])) < float(str(adapted["mean error"]))
    assert "elastic_transform" in summary.note
    assert {line[1] for line in each.rows} == {"contrast", "gaussian_noise"}


def test_bounds_are_compared_on_the_same_votes(bench: Bench) -> None:
    """A line per bound; T-Certify tries the one-sided bound, too, so it is never smaller."""
    suite = SUITES["bounds"]
    rows = [cell.measure() for cell in suite.cells(bench)]
    assert all(sum(row["counts"]) == 300 and sum(row["selection_counts"]) == 20 for row in rows)
    outcome = suite.outcome(bench.plan, rows)
    ((run, index, *_), *_) = outcome.details[0].rows
    assert (run, index) == ("small, adapted, σ = 0.25", 0)
    for _, _, one_sided, _, t_certify in outcome.details[0].rows:
        assert float(str(t_certify)) >= float(str(one_sided))
    assert [row[1] for row in outcome.tables[0].rows] == ["one_sided", "two_sided", "t_certify"]


@pytest.mark.parametrize("name", ["bounds", "levels"])
@pytest.mark.parametrize(
    ("backend", "dtype"), [("eager", "float32"), ("eager", "bfloat16"), ("openvino", "float32")]
)
def test_votes_are_counted_by_the_backend_that_is_asked_for(
    name: str, backend: str, dtype: str, bench: Bench
) -> None:
    """And the table names it, so that a report does not tell of another arithmetic than it had."""
    if backend not in ("eager", *find_backends()):
        pytest.skip(f"{backend} does not run on this machine")
    suite = SUITES[name]
    asked = dataclasses.replace(bench, backend=backend, dtype=dtype)
    rows = [next(iter(suite.cells(asked))).measure()]
    assert executed_by(suite.outcome(asked.plan, rows).tables[0]) == {f"{backend} {dtype}"}


def test_what_cannot_be_executed_as_asked_is_told(bench: Bench) -> None:
    asked = dataclasses.replace(bench, backend="eager", dtype="int8")
    cell = next(iter(SUITES["bounds"].cells(asked)))
    with pytest.raises(EvaluationError, match=r"'small': 'dtype' must be one of .*got 'int8'"):
        cell.measure()


def test_measurements_of_an_older_journal_say_that_the_backend_is_not_recorded(bench: Bench) -> None:
    suite = SUITES["bounds"]
    row = dict(next(iter(suite.cells(bench))).measure())
    del row["executed"]
    assert executed_by(suite.outcome(bench.plan, [row]).tables[0]) == {"not recorded"}


def executed_by(table: Table) -> set[object]:
    place = table.columns.index("executed by")
    return {row[place] for row in table.rows}


def find_backends() -> list[str]:
    return [name for name, backend in BACKENDS.items() if backend.dtypes(torch.device("cpu"))]


def test_a_level_that_is_told_from_another_by_its_seventh_digit_is_refused() -> None:
    """Runs are known by six digits of their level: two alike would share their measurements."""
    with pytest.raises(ValidationError, match="'sigma' must differ in its first six digits"):
        EvaluationPlan.model_validate({**SMALL, "certify": {"sigmas": (0.5, 0.50000001)}})


@pytest.mark.parametrize("name", ["bounds", "levels"])
def test_too_few_votes_are_refused_before_anything_is_measured(name: str, bench: Bench) -> None:
    """Also where they are the bundle's, which no plan can check."""
    plan = EvaluationPlan.model_validate({**SMALL, "levels": {"n": 100, "alpha": 1e-40}})
    few = plan.certify.asked.model_copy(update={"n": 5})
    plan = plan.model_copy(update={"certify": plan.certify.model_copy(update={"asked": few})})
    asked = dataclasses.replace(bench, plan=plan)
    with pytest.raises(EvaluationError, match=r"'n' must be >= .* to certify at alpha = .*, got"):
        list(SUITES[name].cells(asked))


@pytest.mark.parametrize(
    ("section", "field", "values"),
    [
        ("certify", "sigmas", (0.5, 0.5)),
        ("certify", "radii", (0.0, 0.0)),
        ("certify", "adapt", (True, True)),
        ("noise", "sigmas", (0.25, 0.25)),
        ("noise", "momenta", (1.0, 1.0)),
        ("noise", "clean_sizes", (8, 8)),
        ("attacks", "epsilons_l2", (1, 1)),
        ("attacks", "epsilons_linf", (0.1, 0.1)),
        ("attacks", "ensembles", (5, 5)),
        ("corruptions", "names", ("fog", "fog")),
        ("corruptions", "severities", (1, 1)),
        ("levels", "steps", (2, 2)),
        ("gradients", "sigmas", (0.5, 0.5)),
    ],
)
def test_what_is_asked_for_twice_is_refused(section: str, field: str, values: tuple[object, ...]) -> None:
    """Measured once and counted twice, it would make a sample look larger than it is."""
    with pytest.raises(ValidationError, match=f"'{field}' must hold no value twice, got"):
        EvaluationPlan.model_validate({**SMALL, section: {field: values}})


def test_a_corruption_that_does_not_apply_is_no_evaluation(bench: Bench) -> None:
    """Among others it is left out and said so; alone it leaves nothing to measure."""
    plan = EvaluationPlan.model_validate({**SMALL, "corruptions": {"names": ("elastic_transform",)}})
    with pytest.raises(
        EvaluationError, match=r"'corruption' must hold one that applies .* elastic_transform"
    ):
        list(SUITES["corruptions"].cells(dataclasses.replace(bench, plan=plan)))


VOTES = {"run": "r", "sigma": 1.0, "dimension": 144, "label": 0, "top_class": 0}


@pytest.mark.parametrize(
    ("selection", "counts", "order"),
    [
        # Many small others: a bound of the runner-up's own is far below 1 − p_lower.
        ([55, *[5] * 9], [550, *[50] * 9], ("one_sided", "t_certify", "two_sided")),
        # Below one half: T-Certify abstains there, by its authors' rule.
        ([45, 20, *[5] * 7, 0], [450, 200, *[50] * 7, 0], ("one_sided", "t_certify", "two_sided")),
    ],
)
def test_the_largest_radius_is_that_of_the_tightest_bound(
    selection: list[int], counts: list[int], order: tuple[str, ...]
) -> None:
    row = {**VOTES, "selection_counts": selection, "counts": counts}
    found = {name: certified_radius(row, name, 0.05) for name in order}
    assert sorted(found, key=lambda name: found[name]) == list(order)
    assert found["two_sided"] > 0
    assert found["one_sided"] == pytest.approx(
        max(0.0, norm.ppf(beta.ppf(0.05, counts[0], 1001 - counts[0]))), abs=2e-6
    )
    assert certified_radius({**row, "label": 1}, "two_sided", 0.05) == 0.0


def test_two_classes_are_bounded_alike_by_both_sides() -> None:
    """Selection votes for two classes only: all of α goes to p_lower, and two_sided is one_sided."""
    row = {**VOTES, "selection_counts": [80, 20], "counts": [800, 200]}
    assert certified_radius(row, "two_sided", 0.05) == certified_radius(row, "one_sided", 0.05) > 0


def test_without_steps_the_level_is_that_of_the_start(bench: Bench) -> None:
    suite = SUITES["levels"]
    every_third = tuple(range(0, 36, 3))
    bench = dataclasses.replace(bench, images=dataclasses.replace(bench.images, indices=every_third))
    rows = [cell.measure() for cell in suite.cells(bench)]
    assert [row["steps"] for row in rows] == [0, 2]
    assert rows[0]["sigmas"] == [0.25] * 12
    assert 0.25 not in rows[1]["sigmas"]
    outcome = suite.outcome(bench.plan, rows)
    each = outcome.details[0]
    assert each.columns[:3] == ("bundle", "K", "index")  # as the other tables name an image
    assert [line[2] for line in each.rows] == [*every_third, *every_third]
    table = outcome.tables[0]
    for row in (dict(zip(table.columns, line, strict=True)) for line in table.rows):
        assert row["images"] == 12
        assert row["accuracy from"] < row["accuracy"] < row["accuracy to"]
        assert row["from"] <= row["ACR ℓ2"] <= row["to"]


def test_gradient_pictures_are_png_with_a_column_per_level(bench: Bench) -> None:
    """Image, two levels as trained, one adapted; two rows."""
    (cell,) = SUITES["gradients"].cells(bench)
    row = cell.measure()
    with Image.open(io.BytesIO(base64.b64decode(row["png"]))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (4 * 102 + 6, 18 + 2 * 102 + 6)
    assert row["indices"] == [0, 1]


def test_a_loss_gradient_is_that_of_the_cross_entropy() -> None:
    """Softmax regression: the gradient is (p − y)ᵀW, here by hand for two classes at equal odds."""

    class Linear(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            flat = images.flatten(1)
            return torch.stack((flat.sum(1), -flat.sum(1)), dim=1)

    gradient = loss_gradients(Linear(), torch.zeros(1, 1, 2, 2), torch.tensor([0]))
    assert gradient.flatten().tolist() == pytest.approx([-1.0] * 4)  # (½ − 1)·1 + ½·(−1)


def test_images_are_chosen_by_stride(bench: Bench, synthetic_fashion: Path) -> None:
    test = load_dataset("fashion-mnist", synthetic_fashion).test
    chosen = choose_images(test, 4, 6)
    assert chosen.indices == (0, 6, 12, 18)
    assert chosen.labels.tolist() == [0, 6, 2, 8]
    assert float(chosen.pixels.max()) <= 1.0
    assert isinstance(chosen, Images)
