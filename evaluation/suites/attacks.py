"""Accuracy under projected gradient descent: of classifiers as trained, and of adapted ones.

Reference:
    "Covariate Shift Adaptation for Adversarially Robust Classifier", §4 and appendix E: expectation over
    transformation (EoT) with the logarithm outside the mean, equation 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import log, prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.subject import BATCH, Images, Subject, as_digits
from evaluation.suites.suite import Bench, Cell
from models.training.attacks import Loss, withstood
from smoothing import Gaussian, Noise, Uniform, generator_for

NORMS = ("l2", "linf")
_REACH = 2.5
"""Steps together are this many times as long as the radius, so that an attack can cross its ball."""


@dataclass(frozen=True)
class Attack:
    """Who is attacked, and through whom.

    Attributes:
        adapted: Whether the victim's batch-norm statistics are re-estimated; else it is as trained.
        members: How many classifiers adapted likewise the attack averages over, which has not seen the
            victim then; 0: it sees the victim itself.
    """

    adapted: bool
    members: int = 0

    @property
    def name(self) -> str:
        """What tables call it.

        >>> Attack(adapted=False).name, Attack(adapted=True).name, Attack(adapted=True, members=5).name
        ('as trained, PGD', 'adapted, PGD', 'adapted, EoT-PGD over 5')
        """
        through = f"EoT-PGD over {self.members}" if self.members else "PGD"
        return f"{'adapted' if self.adapted else 'as trained'}, {through}"


def cells(bench: Bench) -> Iterator[Cell]:
    """Yield one attack per bundle and norm, and those on adapted classifiers where there are any."""
    for subject in bench.subjects:
        members = (0, *bench.plan.attacks.ensembles) if subject.adaptable else ()
        attacks = [Attack(adapted=False), *(Attack(adapted=True, members=count) for count in members)]
        for norm in NORMS:
            for attack in attacks:
                measure = partial(_measure, bench, subject, norm, attack)
                yield Cell(f"{subject.name}/{norm}/{attack.name}", measure)


def outcome(plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
    """Make a table and a chart per norm."""
    tables, charts = [], []
    for norm, name in (("l2", "ℓ2"), ("linf", "ℓ∞")):
        found = [row for row in rows if row["norm"] == norm]
        tables.append(_table(found, plan, norm, f"Accuracy under {name} attacks"))
        lines = tuple(
            Line(
                f"{row['bundle']}, {row['attack']}",
                tuple(row["epsilons"]),
                _accuracies(row),
            )
            for row in found
        )
        charts.append(
            Chart(f"attacks-{norm}", f"Accuracy under {name} attacks", f"{name} radius", "accuracy", lines)
        )
    return Outcome(tuple(tables), tuple(charts), details=(_details(rows),))


def ensemble_loss(models: Sequence[nn.Module], labels: Tensor) -> Loss:
    """Return −log of the mean probability of the true class, summed over the batch.

    The logarithm is outside the mean; of one model it is the cross entropy.
    """

    def loss(images: Tensor) -> Tensor:
        logs = torch.stack([functional.log_softmax(model(images), dim=1) for model in models])
        chosen = logs.gather(2, labels.expand(len(models), -1).unsqueeze(2)).squeeze(2)
        return -(torch.logsumexp(chosen, dim=0) - log(len(models))).sum()

    return loss


def standing_answers(
    victim: nn.Module,
    attacked: Sequence[nn.Module],
    images: Images,
    *,
    norm: str,
    epsilons: Sequence[float],
    steps: int,
    seed: int,
) -> list[Tensor]:
    """Return which images ``(m,)`` no attack so far has turned, at radius 0 and at each of ``epsilons``.

    A perturbation within one ball is within every larger one, so an image that was turned stays turned and is
    not attacked again.

    Args:
        victim: The classifier whose answers count, in eval mode.
        attacked: The classifiers whose loss is raised: the victim itself, or others like it.
        images: Test images.
        norm: ``l2`` or ``linf``.
        epsilons: Radii in rising order, pixel units.
        steps: Of each attack, from a random start.
        seed: Of the starts.
    """
    with torch.no_grad():
        standing = torch.cat([victim(pixels).argmax(1) == labels for pixels, labels in images.batches()])
    found = [standing.clone()]
    for epsilon in epsilons:
        generator = generator_for(seed, f"attack/{norm}/{epsilon!r}", device=images.pixels.device)
        left = standing.nonzero().flatten()
        for start in range(0, len(left), BATCH):
            part = left[start : start + BATCH]
            pixels, labels = images.pixels[part], images.labels[part]
            standing[part] = withstood(
                victim,
                pixels,
                labels,
                loss=ensemble_loss(attacked, labels),
                attacked=attacked,
                norm=norm,
                epsilon=epsilon,
                steps=steps,
                generator=generator,
                step_size=_REACH * epsilon / steps,
            )
        found.append(standing.clone())
    return found


def threat_noise(norm: str, epsilon: float, dimension: int) -> Noise:
    """Return noise like a random perturbation of the ball: that long in ℓ2, or uniform in the ℓ∞ cube."""
    return Gaussian(epsilon / dimension**0.5) if norm == "l2" else Uniform(epsilon / 3**0.5)


def _measure(bench: Bench, subject: Subject, norm: str, attack: Attack) -> Row:
    epsilons = bench.plan.attacks.epsilons(norm)
    victim: nn.Module = subject.module
    attacked = [victim]
    if attack.adapted:
        victim, *members = _adapted(bench, subject, norm, epsilons[-1], attack.members)
        attacked = members or [victim]
    right = standing_answers(
        victim,
        attacked,
        bench.images,
        norm=norm,
        epsilons=epsilons,
        steps=bench.plan.attacks.steps,
        seed=bench.plan.seed,
    )
    return {
        "bundle": subject.name,
        "norm": norm,
        "attack": attack.name,
        "epsilons": [0.0, *epsilons],
        "right": [as_digits(standing.tolist()) for standing in right],
    }


def _adapted(bench: Bench, subject: Subject, norm: str, epsilon: float, members: int) -> list[nn.Module]:
    """The victim, and classifiers that were adapted like it under other draws of the noise."""
    noise = threat_noise(norm, epsilon, prod(subject.bundle.card.input_shape))
    names = ["victim", *(f"member/{member}" for member in range(members))]
    return [subject.adapted(noise, seed=bench.plan.seed, stream=f"{norm}/{name}") for name in names]


def _accuracies(row: Row) -> tuple[float, ...]:
    return tuple(digits.count("1") / len(digits) for digits in row["right"])


def _details(rows: Sequence[Row]) -> Table:
    return Table(
        "attacks-images",
        "Answers under attack, image by image",
        ("bundle", "norm", "attack", "epsilon", "right"),
        tuple(
            (row["bundle"], row["norm"], row["attack"], epsilon, digits)
            for row in rows
            for epsilon, digits in zip(row["epsilons"], row["right"], strict=True)
        ),
        "A digit per image, 1 where no attack so far has turned it.",
    )


def _table(rows: Sequence[Row], plan: EvaluationPlan, norm: str, title: str) -> Table:
    epsilons = (0.0, *plan.attacks.epsilons(norm))
    return Table(
        f"attacks-{norm}",
        title,
        ("bundle", "attack", "images", *(f"{epsilon:.4g}" for epsilon in epsilons)),
        tuple((row["bundle"], row["attack"], len(row["right"][0]), *_accuracies(row)) for row in rows),
        f"{plan.attacks.steps} steps from one random start; columns are radii in pixel units. What a smaller "
        "ball holds, a larger one holds, too: accuracy never rises with the radius. Adapted: statistics of "
        "the clean images under random perturbations of the largest ball. PGD sees the classifier that it is "
        "tested on; EoT-PGD averages over that many others, adapted under other draws, and has not seen it.",
    )
