"""Accuracy under projected gradient descent: of classifiers as trained, and of adapted ones.

Reference:
    "Covariate Shift Adaptation for Adversarially Robust Classifier", §4 and appendix E: expectation over
    transformation (EoT) with the logarithm outside the mean, equation 3.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import log, prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.evaluation.bench import Bench, Cell, Chart, Line, Outcome, Row, Table
from models.evaluation.plan import EvaluationPlan
from models.evaluation.subject import BATCH, Images, Subject, as_digits
from models.training.attacks import Loss, pgd, undisturbed
from smoothing import Gaussian, Noise, Uniform, generator_for

NORMS = ("l2", "linf")
_REACH = 2.5
"""Steps together are this many times as long as the radius, so that an attack can cross its ball."""


class AttackSuite:
    """PGD over growing balls."""

    def cells(self, bench: Bench) -> Iterator[Cell]:
        """Yield one attack per bundle and norm, and those on adapted classifiers where there are any."""
        for subject in bench.subjects:
            for norm in NORMS:
                yield _cell(bench, subject, norm, 0)
                if subject.adaptable:
                    for members in bench.plan.attacks.ensembles:
                        yield _cell(bench, subject, norm, members)

    def outcome(self, plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
        """Make a table and a chart per norm."""
        tables, charts = [], []
        for norm, name in (("l2", "ℓ2"), ("linf", "ℓ∞")):
            found = [row for row in rows if row["norm"] == norm]
            tables.append(_table(found, plan, norm, f"Accuracy under {name} attacks"))
            lines = tuple(
                Line(
                    f"{row['bundle']}, {_attack(row)}",
                    tuple(row["epsilons"]),
                    _accuracies(row),
                )
                for row in found
            )
            charts.append(
                Chart(
                    f"attacks-{norm}", f"Accuracy under {name} attacks", f"{name} radius", "accuracy", lines
                )
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
    with torch.inference_mode():
        standing = torch.cat([victim(pixels).argmax(1) == labels for pixels, labels in images.batches()])
    found = [standing.clone()]
    for epsilon in epsilons:
        generator = generator_for(seed, f"attack/{norm}/{epsilon!r}", device=images.pixels.device)
        left = standing.nonzero().flatten()
        for start in range(0, len(left), BATCH):
            part = left[start : start + BATCH]
            pixels, labels = images.pixels[part], images.labels[part]
            with ExitStack() as stack:
                for model in attacked:
                    stack.enter_context(undisturbed(model))
                perturbed = pgd(
                    ensemble_loss(attacked, labels),
                    pixels,
                    norm=norm,
                    epsilon=epsilon,
                    steps=steps,
                    generator=generator,
                    step_size=_REACH * epsilon / steps,
                )
            with torch.inference_mode():
                standing[part] = victim(perturbed).argmax(1) == labels
        found.append(standing.clone())
    return found


def threat_noise(norm: str, epsilon: float, dimension: int) -> Noise:
    """Return noise like a random perturbation of the ball: that long in ℓ2, or uniform in the ℓ∞ cube."""
    return Gaussian(epsilon / dimension**0.5) if norm == "l2" else Uniform(epsilon / 3**0.5)


def _cell(bench: Bench, subject: Subject, norm: str, members: int) -> Cell:
    epsilons = bench.plan.attacks.epsilons(norm)

    def measure() -> Row:
        victim: nn.Module = subject.module
        attacked = [victim]
        if members:
            victim, *attacked = _adapted(bench, subject, norm, epsilons[-1], members)
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
            "members": members,
            "epsilons": [0.0, *epsilons],
            "right": [as_digits(standing) for standing in right],
        }

    return Cell(f"{subject.name}/{norm}/{members}", measure)


def _adapted(bench: Bench, subject: Subject, norm: str, epsilon: float, members: int) -> list[nn.Module]:
    """The victim, which the attack does not see, and the members of its ensemble."""
    noise = threat_noise(norm, epsilon, prod(subject.bundle.card.input_shape))
    names = ["victim", *(f"member/{member}" for member in range(members))]
    return [subject.adapted(noise, seed=bench.plan.seed, stream=f"{norm}/{name}") for name in names]


def _accuracies(row: Row) -> tuple[float, ...]:
    return tuple(digits.count("1") / len(digits) for digits in row["right"])


def _details(rows: Sequence[Row]) -> Table:
    return Table(
        "attacks-images",
        "Answers under attack, image by image",
        ("bundle", "norm", "members", "epsilon", "right"),
        tuple(
            (row["bundle"], row["norm"], row["members"], epsilon, digits)
            for row in rows
            for epsilon, digits in zip(row["epsilons"], row["right"], strict=True)
        ),
        "A digit per image, 1 where no attack so far has turned it. Members 0: as trained.",
    )


def _attack(row: Row) -> str:
    return "as trained, PGD" if row["members"] == 0 else f"adapted, EoT-PGD over {row['members']}"


def _table(rows: Sequence[Row], plan: EvaluationPlan, norm: str, title: str) -> Table:
    epsilons = (0.0, *plan.attacks.epsilons(norm))
    return Table(
        f"attacks-{norm}",
        title,
        ("bundle", "attack", "images", *(f"{epsilon:.4g}" for epsilon in epsilons)),
        tuple((row["bundle"], _attack(row), len(row["right"][0]), *_accuracies(row)) for row in rows),
        f"{plan.attacks.steps} steps from one random start; columns are radii in pixel units. What a smaller "
        "ball holds, a larger one holds, too: accuracy never rises with the radius. Adapted: statistics of "
        "the clean images under random perturbations of the largest ball; the attack averages over so many "
        "of these classifiers and is held against one more that it has not seen.",
    )
