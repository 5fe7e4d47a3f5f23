"""Tables of attacks."""

import torch
from torch import Tensor

from evaluation.plan import EvaluationPlan
from evaluation.subject import Images
from evaluation.suites.attacks import standing_answers
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench


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
