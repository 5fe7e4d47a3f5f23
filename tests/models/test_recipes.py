"""Each recipe's loss against the formula of its paper, worked out in NumPy for a linear classifier.

The oracles share nothing with the recipes but the draws: values are compared, and gradients with central
differences of the oracle.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor, nn

from models.training import TrainingError, TrainingPlan
from models.training.recipes import RECIPES, Step, checked_arguments, recipe_parameters
from models.training.recipes.data_dependent import first_levels

Array = NDArray[np.float64]
Oracle = Callable[[Array], float]
Trained = Callable[[str], tuple[str, dict[str, Any]]]

BATCH, CLASSES, SHAPE = 3, 3, (1, 2, 2)
SIGMA = 0.4
LEVELS = np.array([0.3, 0.6, 0.4])
SMOOTHING = 0.1
INFINITE = float("inf")
SEED = 5


class Linear(nn.Module):
    """Logits W·x, in float64 so that differences can be taken."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn((CLASSES, 4), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T


def make_step(model: nn.Module, progress: float = 0.5, **changes: Any) -> Step:
    generator = torch.Generator().manual_seed(2)
    fields: dict[str, Any] = {
        "model": model,
        "images": 0.3 + 0.4 * torch.rand((BATCH, *SHAPE), generator=generator, dtype=torch.float64),
        "labels": torch.tensor([0, 2, 1]),
        "indices": torch.tensor([4, 0, 2]),
        "sigma": torch.full((BATCH,), SIGMA, dtype=torch.float64),
        "generator": torch.Generator().manual_seed(SEED),
        "progress": progress,
        "label_smoothing": SMOOTHING,
        "memory": {},
    }
    return Step(**{**fields, **changes})


def drawn(*kinds: str, copies: int = 1, sigma: float | Array = SIGMA) -> list[Array]:
    """The draws that a recipe makes, in order: ``(copies, b, d)`` each."""
    generator = torch.Generator().manual_seed(SEED)
    level = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (BATCH,)).reshape(1, BATCH, 1)
    found = []
    for kind in kinds:
        empty = torch.empty((copies, BATCH, *SHAPE), dtype=torch.float64)
        if kind == "normal":
            unit = empty.normal_(generator=generator)
        else:
            unit = empty.uniform_(-1, 1, generator=generator) * 3**0.5
        found.append(unit.flatten(2).numpy() * level)
    return found


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def probabilities(weight: Array, images: Array, noise: Array, beta: float = 1.0) -> Array:
    return softmax(beta * (images + noise) @ weight.T)  # (copies, b, k)


def likelihoods(p: Array, labels: Array) -> Array:
    """Cross entropies of the copies ``(copies, b)`` with labels that are smoothed."""
    targets = (1 - SMOOTHING) * np.eye(CLASSES)[labels] + SMOOTHING / CLASSES
    return -(targets * np.log(p)).sum(2)


def own(p: Array, classes: Array) -> Array:
    return np.take_along_axis(p, classes[:, None], 1)[:, 0]


def second_best(p: Array, labels: Array) -> Array:
    others = p.copy()
    others[np.arange(len(labels)), labels] = -1
    return others.argmax(1)


def slope(of: Callable[[Array], float], at: Array, width: float = 1e-6) -> Array:
    """Central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = width
        found[place] = (of(at + step) - of(at - step)) / (2 * width)
    return found


def climb(of: Callable[[Array], float], images: Array, epsilon: float, steps: int) -> Array:
    """ℓ2 ascent from the images, all of them at once, each of its own length; pixels stay in [0, 1]."""
    x = images
    for _ in range(steps):
        gradient = slope(of, x)
        x = x + 2 * epsilon / steps * gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
        away = x - images
        x = images + away * np.minimum(1, epsilon / np.linalg.norm(away, axis=1, keepdims=True))
        x = np.clip(x, 0, 1)
    return x


def check(
    recipe: str,
    oracle: Callable[[Array, Array, Array], Oracle],
    *,
    step: Step | None = None,
    **arguments: Any,
) -> None:
    """Compares value and gradient; the oracle is given weight, images and labels, and what it holds fixed."""
    step = make_step(Linear()) if step is None else step
    model = step.model
    assert isinstance(model, Linear)
    weight = model.weight.detach().numpy().copy()
    loss = RECIPES[recipe].loss(step, **arguments)
    loss.backward()  # type: ignore[no-untyped-call]
    at_weight = oracle(weight, step.images.flatten(1).numpy(), step.labels.numpy())
    assert loss.item() == pytest.approx(at_weight(weight), rel=1e-9)
    assert model.weight.grad is not None
    np.testing.assert_allclose(model.weight.grad.numpy(), slope(at_weight, weight), rtol=1e-5, atol=1e-8)


def test_standard_is_the_cross_entropy() -> None:
    def oracle(_: Array, images: Array, labels: Array) -> Oracle:
        return lambda w: float(likelihoods(probabilities(w, images, np.zeros((1, 1, 4))), labels).mean())

    check("standard", oracle)


def test_gaussian_is_the_cross_entropy_under_one_draw() -> None:
    def oracle(_: Array, images: Array, labels: Array) -> Oracle:
        (noise,) = drawn("normal")
        return lambda w: float(likelihoods(probabilities(w, images, noise), labels).mean())

    check("gaussian", oracle)


def at_levels_of_their_own(around: str) -> tuple[str, dict[str, Any]]:
    """The recipe that trains around another, and what makes it leave levels that differ as they are."""
    memory = {"sigma": torch.tensor([LEVELS[1], 9.0, LEVELS[2], 9.0, LEVELS[0]])}
    step = make_step(Linear(), memory=memory)  # of the images 4, 0 and 2
    return "data_dependent", {"around": around, "fixed_share": 1.0, "step": step}


def alone(recipe: str) -> tuple[str, dict[str, Any]]:
    """The recipe itself, with levels that differ."""
    return recipe, {"step": make_step(Linear(), sigma=torch.from_numpy(LEVELS))}


@pytest.mark.parametrize("trained", [alone, at_levels_of_their_own])
def test_smoothadv_attacks_the_mean_softmax_and_trains_on_the_same_draws(trained: Trained) -> None:
    """−log of the mean softmax is raised in steps of 2ε/T from the image itself."""

    def oracle(weight: Array, images: Array, labels: Array) -> Oracle:
        (noise,) = drawn("normal", copies=2, sigma=LEVELS)

        def raised(x: Array) -> float:
            return float(-np.log(own(probabilities(weight, x, noise).mean(0), labels)).sum())

        attacked = climb(raised, images, 0.3, 3)
        assert np.linalg.norm(attacked - images, axis=1) == pytest.approx(0.3)
        return lambda w: float(likelihoods(probabilities(w, attacked, noise), labels).mean())

    recipe, arguments = trained("smoothadv")
    check(recipe, oracle, **arguments, copies=2, epsilon=0.3, attack_steps=3)


@pytest.mark.parametrize("trained", [alone, at_levels_of_their_own])
def test_macer_adds_a_hinge_on_the_radius_of_right_answers(trained: Trained) -> None:
    """λσ/2·(γ − gap) where the sharpened mean is right and the gap below γ; none elsewhere."""
    gaps: list[Array] = []

    def oracle(weight: Array, images: Array, labels: Array) -> Oracle:
        (noise,) = drawn("normal", copies=4, sigma=LEVELS)

        def loss(w: Array) -> float:
            first = -np.log(own(probabilities(w, images, noise).mean(0), labels))
            sharp = probabilities(w, images, noise, beta=3.0).mean(0)
            ordered = np.sort(sharp, axis=1)
            gap = norm.ppf(ordered[:, -1]) - norm.ppf(ordered[:, -2])
            right = sharp.argmax(1) == labels
            gaps[:] = [gap, right]
            hinge = np.where(right & (gap < 1.5), 1.5 - gap, 0.0)
            return float((first + 12 * LEVELS / 2 * hinge).mean())

        return loss

    recipe, arguments = trained("macer")
    check(recipe, oracle, **arguments, copies=4, weight=12.0, margin=1.5, inverse_temperature=3.0)
    _, right = gaps
    assert right.any(), "no image is right: the hinge was not tried"
    assert not right.all(), "no image is wrong: that it then has no hinge was not tried"


def test_macer_stays_finite_where_a_probability_is_1() -> None:
    """Φ⁻¹(1) is infinite, and infinity times zero would poison the gradient."""
    model = Linear()
    loss = RECIPES["macer"].loss(make_step(model), copies=2, inverse_temperature=1e6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert model.weight.grad is not None
    assert bool(torch.isfinite(model.weight.grad).all())


def test_consistency_adds_divergence_from_the_mean_and_its_entropy() -> None:
    def oracle(_: Array, images: Array, labels: Array) -> Oracle:
        (noise,) = drawn("normal", copies=3)

        def loss(w: Array) -> float:
            p = probabilities(w, images, noise)
            mean = p.mean(0)
            divergence = (mean * (np.log(mean) - np.log(p))).sum(2).mean()
            entropy = -(mean * np.log(mean)).sum(1).mean()
            return float(likelihoods(p, labels).mean() + 7 * divergence + 0.25 * entropy)

        return loss

    check("consistency", oracle, copies=3, weight=7.0, entropy=0.25)


def _adre_risk(w: Array, images: Array, noise: Array, labels: Array, weight: float) -> float:
    p = probabilities(w, images, noise)
    soft = p.mean(0)
    away = -np.log(own(soft, second_best(soft, labels)))
    return float(likelihoods(p, labels).mean() - weight * away.mean())


def test_adre_rewards_distance_from_the_runner_up() -> None:
    def oracle(_: Array, images: Array, labels: Array) -> Oracle:
        (noise,) = drawn("normal", copies=3)
        return lambda w: _adre_risk(w, images, noise, labels, 0.3)

    check("adre", oracle, copies=3, weight=0.3)


def test_adre_adv_attacks_what_it_trains() -> None:
    """The step raises CE(Ĝ, y) − λ·CE(Ĝ, runner-up)."""

    def oracle(weight: Array, images: Array, labels: Array) -> Oracle:
        (noise,) = drawn("normal", copies=3)

        def raised(x: Array) -> float:
            soft = probabilities(weight, x, noise).mean(0)
            away = -np.log(own(soft, second_best(soft, labels)))
            return float((-np.log(own(soft, labels)) - 0.3 * away).sum())

        attacked = climb(raised, images, 0.3, 2)
        return lambda w: _adre_risk(w, attacked, noise, labels, 0.3)

    check("adre_adv", oracle, copies=3, weight=0.3, epsilon=0.3, attack_steps=2)


@pytest.mark.parametrize("similarity", [0.0, 2.5])
def test_normal_uniform_agrees_with_either_noise_alone(similarity: float) -> None:
    """σ_U = √3σ_N/2, so the uniform part reaches ±1.5·σ_N."""

    def oracle(_: Array, images: Array, labels: Array) -> Oracle:
        normal, uniform, other_normal, other_uniform = drawn("normal", "uniform", "normal", "uniform")
        share = 3**0.5 / 2
        assert np.abs(share * uniform).max() <= 1.5 * SIGMA

        def loss(w: Array) -> float:
            both = probabilities(w, images, normal + share * uniform)
            total = likelihoods(both, labels).mean()
            for noise in (other_normal, share * other_uniform):
                q = probabilities(w, images, noise)
                total += similarity * (both * (np.log(both) - np.log(q))).sum(2).mean()
            return float(total)

        return loss

    check("normal_uniform", oracle, similarity=similarity)


@pytest.mark.parametrize("norm_name", ["l2", "linf"])
def test_adversarial_trains_on_what_the_attack_finds(norm_name: str) -> None:
    """For a linear classifier of two classes the worst point is known: ε along the difference of the rows."""
    model = Linear()
    with torch.no_grad():
        model.weight[2] = model.weight[0] - 100  # never near: two classes are left
    grey = torch.full((BATCH, *SHAPE), 0.5, dtype=torch.float64)

    def oracle(weight: Array, images: Array, labels: Array) -> Oracle:
        away = weight[1] - weight[0]
        direction = np.sign(away) if norm_name == "linf" else away / np.linalg.norm(away)
        signs = np.where(labels == 0, 1.0, -1.0)[:, None]
        worst = images + 0.1 * signs * direction
        return lambda w: float(likelihoods(probabilities(w, worst, np.zeros((1, 1, 4))), labels).mean())

    step = make_step(model, images=grey, labels=torch.tensor([0, 1, 0]))
    check("adversarial", oracle, step=step, norm=norm_name, epsilon=0.1, attack_steps=200)


def test_data_dependent_moves_each_level_by_the_slope_of_its_radius() -> None:
    """σ ← σ + a·σ₀·∂R̂/∂σ with R̂ of the mean softmax; then the inner recipe under those levels."""
    model = Linear()
    levels = {"sigma": torch.tensor([0.2, 9.0, 0.5, 9.0, 0.4], dtype=torch.float64)}
    step = make_step(model, memory=levels)
    weight, images = model.weight.detach().numpy().copy(), step.images.flatten(1).numpy()
    start = np.array([0.4, 0.2, 0.5])  # of the images 4, 0 and 2
    generator = torch.Generator().manual_seed(SEED)
    unit = (
        torch.empty((3, BATCH, *SHAPE), dtype=torch.float64).normal_(generator=generator).flatten(2).numpy()
    )

    def radius(sigma: Array) -> float:
        soft = np.sort(probabilities(weight, images, unit * sigma.reshape(1, -1, 1)).mean(0), axis=1)
        top, other = (np.clip(soft[:, place], 0.02, 0.98) for place in (-1, -2))
        return float((sigma / 2 * (norm.ppf(top) - norm.ppf(other))).sum())

    expected = start + 0.3 * SIGMA * slope(radius, start)
    noise = (
        torch.empty((1, BATCH, *SHAPE), dtype=torch.float64).normal_(generator=generator).flatten(2).numpy()
    ) * expected.reshape(1, -1, 1)

    def oracle(_: Array, images: Array, labels: Array) -> Oracle:
        return lambda w: float(likelihoods(probabilities(w, images, noise), labels).mean())

    arguments = {"around": "gaussian", "fixed_share": 0.5, "step_size": 0.3, "samples": 3}
    check("data_dependent", oracle, step=step, **arguments)
    assert step.memory["sigma"][step.indices].numpy() == pytest.approx(expected, rel=1e-6)
    assert step.memory["sigma"][[1, 3]].tolist() == [9.0, 9.0]


def test_data_dependent_leaves_the_levels_alone_at_first_and_keeps_them_within_bounds() -> None:
    """Before `fixed_share` nothing moves; a huge step ends at twice or a quarter of the plan's level."""
    memory = first_levels(5, SIGMA, torch.device("cpu"))
    step = make_step(Linear(), progress=0.2, memory=memory, images=torch.rand((BATCH, *SHAPE)))
    step.model.float()
    step = Step(**{**vars(step), "sigma": torch.full((BATCH,), SIGMA)})
    RECIPES["data_dependent"].loss(step, fixed_share=0.3)
    assert step.memory["sigma"].tolist() == pytest.approx([SIGMA] * 5)
    later = Step(**{**vars(step), "progress": 0.3})
    RECIPES["data_dependent"].loss(later, fixed_share=0.3, step_size=1e6)
    moved = step.memory["sigma"][step.indices].tolist()
    assert all(value == pytest.approx(0.25 * SIGMA) or value == pytest.approx(2 * SIGMA) for value in moved)


@pytest.mark.parametrize("around", ["gaussian", "smoothadv", "macer"])
def test_data_dependent_takes_the_arguments_of_the_recipe_within(around: str) -> None:
    names = recipe_parameters("data_dependent", {"around": around})
    assert set(recipe_parameters(around, {})) <= set(names)
    assert {"fixed_share", "step_size", "samples"} <= set(names)


@pytest.mark.parametrize(
    ("recipe", "arguments", "reason"),
    [
        ("smoothadv", {"copies": 0}, "'copies' Input should be greater than or equal to 1, got 0"),
        (
            "macer",
            {"copies": 2.5},
            "'copies' Input should be a valid integer, got a number with a fractional part, got 2.5",
        ),
        ("consistency", {"copies": 1}, "'copies' Input should be greater than or equal to 2, got 1"),
        ("smoothadv", {"epsilon": -1.0}, "'epsilon' Input should be greater than 0, got -1.0"),
        ("adversarial", {"epsilon": INFINITE}, "'epsilon' Input should be a finite number, got inf"),
        ("adversarial", {"norm": "l3"}, "'norm' Input should be 'l2' or 'linf', got l3"),
        ("smoothadv", {"warm_up": 2.0}, "'warm_up' Input should be less than or equal to 1, got 2.0"),
        ("adre_adv", {"attack_steps": 0}, "'attack_steps' Input should be greater than or equal to 1, got 0"),
        ("adre", {"weight": -0.1}, "'weight' Input should be greater than or equal to 0, got -0.1"),
        ("macer", {"weight": float("nan")}, "'weight' Input should be a finite number, got nan"),
        ("macer", {"margin": 0.0}, "'margin' Input should be greater than 0, got 0.0"),
        (
            "macer",
            {"inverse_temperature": -1.0},
            "'inverse_temperature' Input should be greater than 0, got -1.0",
        ),
        ("consistency", {"entropy": -0.5}, "'entropy' Input should be greater than or equal to 0, got -0.5"),
        (
            "normal_uniform",
            {"similarity": -1.0},
            "'similarity' Input should be greater than or equal to 0, got -1.0",
        ),
        (
            "data_dependent",
            {"around": "standard"},
            "'around' Input should be 'gaussian', 'smoothadv' or 'macer', got standard",
        ),
        (
            "data_dependent",
            {"fixed_share": 2.0},
            "'fixed_share' Input should be less than or equal to 1, got 2.0",
        ),
        ("data_dependent", {"step_size": INFINITE}, "'step_size' Input should be a finite number, got inf"),
        ("data_dependent", {"samples": 0}, "'samples' Input should be greater than or equal to 1, got 0"),
        (
            "data_dependent",
            {"around": "macer", "margin": 0.0},
            "'margin' Input should be greater than 0, got 0.0",
        ),
        ("gaussian", {"epsilon": 1.0}, "'epsilon' is no argument of the recipe 'gaussian'"),
        ("data_dependent", {"epsilon": 1.0}, "'epsilon' is no argument of the recipe 'data_dependent'"),
    ],
)
def test_a_plan_refuses_arguments_that_its_recipe_cannot_take(
    recipe: str, arguments: dict[str, Any], reason: str
) -> None:
    """When it is made, before data are loaded; also those of the recipe within."""
    with pytest.raises(TrainingError, match=re.escape(reason)):
        TrainingPlan(recipe=recipe, out=Path("out"), recipe_arguments=arguments)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_argument_has_a_rule_that_its_default_keeps(recipe: str) -> None:
    defaults = {name: parameter.default for name, parameter in recipe_parameters(recipe, {}).items()}
    assert checked_arguments(recipe, defaults) == defaults
    for name in defaults:
        with pytest.raises(TrainingError, match=f"'{name}' Input should be"):
            checked_arguments(recipe, {**defaults, name: "nonsense"})


def test_every_recipe_says_what_it_claims() -> None:
    """The command `radii recipes` shows it."""
    for recipe in RECIPES.values():
        module = __import__(recipe.loss.__module__, fromlist=["_"])
        assert "Claim:" in str(module.__doc__)
