"""Noise levels: toys whose best sigma is known, Auto-Noise on a grid, OptimizeSigma by ascent."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from torch import Tensor, nn

from smoothing import Gaussian, InvalidParameter, Noise, copies
from smoothing.bounds import BOUNDS, split_alpha
from smoothing.errors import NonFiniteGradient, NonFiniteLogits
from smoothing.noise_level import ChosenSigma, auto, auto_noise, optimize, optimize_sigma, soft_proxy_radius
from smoothing.noises.uniform import Uniform
from smoothing.sampling import BaseClassifier

GREY = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Interval:
    """Class 0 within ``half`` of ½, else class 1: P(class 0) at ½ is known for every noise."""

    half: float = 0.3
    steepness: float = 1000.0

    def __call__(self, images: Tensor) -> Tensor:
        inside = self.half - (images.flatten(1)[:, 0] - 0.5).abs()
        return self.steepness * torch.stack((inside, -inside), dim=1)

    def soft_probability(self, points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The softmax of class 0 at ½ + points."""
        return np.asarray(special.expit(2.0 * self.steepness * (self.half - np.abs(points))))


def auto_levels(
    classifier_for: Callable[[float], BaseClassifier], images: Tensor = GREY, **options: Any
) -> list[ChosenSigma]:
    given: dict[str, Any] = {"noise": Gaussian, "seed": 1} | options
    return auto_noise(classifier_for, images, **given)


def optimized(
    classifier: BaseClassifier, images: Tensor = GREY, sigma: float | Tensor = 0.25, **options: Any
) -> list[ChosenSigma]:
    given: dict[str, Any] = {"noise": Gaussian, "seed": 1} | options
    return optimize_sigma(lambda _: classifier, images, sigma=sigma, **given)


def test_auto_noise_takes_the_grid_point_of_largest_gaussian_radius() -> None:
    """σΦ⁻¹ of the bound at the expected votes, 2Φ(0.3/σ) − 1 of them: little noise proves little too."""
    grid = (0.05, 0.1, 0.2, 0.3)
    votes = [round(20_000 * (2 * float(special.ndtr(0.3 / sigma)) - 1)) for sigma in grid]
    expected = [
        sigma * float(special.ndtri(stats.beta.ppf(0.001, count, 20_001 - count)))
        for sigma, count in zip(grid, votes, strict=True)
    ]
    (level,) = auto_levels(lambda _: Interval(), grid=grid, n=20_000)
    assert level.sigma == grid[int(np.argmax(expected))] == 0.1
    for trial, radius in zip(level.trials, expected, strict=True):
        assert trial.proxy_radius <= radius * 1.1
    assert level.certifies
    assert level.samples == sum(trial.n for trial in level.trials)
    assert [trial.sigma for trial in level.trials] == list(grid)
    assert level.proxy_radius == max(trial.proxy_radius for trial in level.trials)
    assert level.proxy_radius == pytest.approx(max(expected), rel=0.1)
    assert min(trial.n for trial in level.trials) < 20_000


@given(data=st.data())
def test_spared_votes_change_no_choice(data: st.DataObject) -> None:
    """As if every sigma had all its votes, of the same streams: with one class or many, clear or hopeless."""
    n = data.draw(st.sampled_from((30, 100, 400)))
    grid = (0.2, 0.4, 0.5, 0.8)
    weights = st.lists(st.sampled_from((0.0, 0.01, 0.1, 1.0, 3.0)), min_size=4, max_size=4).filter(any)
    shares = {sigma: np.array(data.draw(weights)) for sigma in grid}
    bound = data.draw(st.sampled_from(sorted(BOUNDS)))
    alpha = data.draw(st.sampled_from((0.001, 0.05, 0.3)))
    kind = data.draw(st.sampled_from((Gaussian, Uniform)))

    def drawing(sigma: float) -> BaseClassifier:
        random, cuts = np.random.default_rng(7), np.cumsum(shares[sigma] / shares[sigma].sum())

        def classify(images: Tensor) -> Tensor:
            votes = torch.from_numpy(np.minimum(np.searchsorted(cuts, random.random(len(images))), 3))
            return nn.functional.one_hot(votes, 4).double()

        classify.num_classes = 4  # type: ignore[attr-defined]  # so that no image is asked for the number
        return classify

    (level,) = auto_levels(drawing, noise=kind, grid=grid, n=n, alpha=alpha, bound=bound)
    radii, tops = {}, {}
    for sigma in grid:
        counts = drawing(sigma)(GREY.expand(n, -1, -1, -1)).sum(0).long().numpy()
        found = BOUNDS[bound](counts, int(counts.argmax()), alpha, alpha_upper=split_alpha(counts, alpha))
        radii[sigma] = getattr(kind(sigma).radius(found.p_lower, found.p_upper, dimension=1), kind.norms[0])
        tops[sigma] = counts.max()
    ranked = radii if max(radii.values()) > 0 else tops
    assert level.sigma == max(grid, key=lambda sigma: ranked[sigma])
    assert level.certifies is (max(radii.values()) > 0)
    assert level.proxy_radius == radii[level.sigma]
    if not level.certifies:
        assert [trial.n for trial in level.trials] == [n] * 4


def test_levels_that_cannot_win_are_given_up_early() -> None:
    """Where all votes agree at every level, the largest wins, and the others end after a few batches."""
    for batch_size, least in ((50, 100), (64, 128), (200, 200), (1000, 250)):
        (level,) = auto_levels(lambda _: Interval(half=10.0), grid=auto.AUTO_GRID, batch_size=batch_size)
        assert level.sigma == 1.0
        assert [trial.n for trial in level.trials] == [least] * 7 + [1000]


def test_auto_noise_compares_uniform_radii_in_l1() -> None:
    """λ(2·min(1, 0.3/λ) − 1) is largest where λ = 0.3, that is at σ = 0.3/√3."""
    best = 0.3 / math.sqrt(3.0)
    (level,) = auto_levels(lambda _: Interval(), noise=Uniform, grid=(0.5 * best, best, 1.5 * best))
    assert level.sigma == best
    assert level.proxy_radius == pytest.approx(0.3, rel=0.02)


def test_auto_noise_is_exact_for_a_batch_and_asks_once_for_each_sigma() -> None:
    """The order of the grid does not matter either; ties go to the smaller sigma."""
    images = torch.tensor([0.5, 0.6, 0.4]).reshape(3, 1, 1, 1)
    asked = []

    def classifier_for(sigma: float) -> BaseClassifier:
        asked.append(sigma)
        return Interval()

    levels = auto_levels(classifier_for, images, grid=(0.2, 0.1, 0.15))
    assert asked == [0.1, 0.15, 0.2]
    assert levels == [auto_levels(classifier_for, image[None], grid=(0.1, 0.15, 0.2))[0] for image in images]

    def no_votes(images: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.arange(len(images)) % 2, 2).double()

    (tie,) = auto_levels(lambda _: no_votes, grid=(0.2, 0.1))
    assert (tie.sigma, tie.certifies, tie.proxy_radius) == (0.1, False, 0.0)


def test_without_a_certifying_noise_level_the_largest_top_count_decides(
    stripes: Callable[..., BaseClassifier], image: Tensor
) -> None:
    """Probabilities are chosen so that 1000 votes cannot separate the top two at any sigma."""
    probabilities = {0.25: (0.40, 0.40, 0.20), 0.5: (0.485, 0.485, 0.03), 1.0: (0.35, 0.34, 0.31)}
    (level,) = auto_levels(
        lambda sigma: stripes(probabilities[sigma], sigma), image[None], grid=(0.25, 0.5, 1.0)
    )
    assert not level.certifies
    assert level.sigma == 0.5
    assert level.proxy_radius == 0.0
    assert not any(trial.certifies for trial in level.trials)


def test_auto_noise_can_be_abandoned_between_batches() -> None:
    """``on_batch`` sees every vote of every image and sigma, a part of each first."""
    seen: list[tuple[int, int]] = []

    def stop(done: int, planned: int) -> None:
        seen.append((done, planned))
        if done > 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_levels(lambda _: Interval(), grid=(0.1, 0.2), batch_size=400, on_batch=stop)
    assert seen == [(250, 2000), (500, 2000), (750, 2000), (1000, 2000), (1250, 2000)]


def test_no_stream_is_shared_with_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The votes that choose sigma are never those of selection, estimation or prediction."""
    streams = set()

    def recorded(seed: int, stream: str, *, device: torch.device | str = "cpu") -> torch.Generator:
        streams.add(stream)
        return torch.Generator(device).manual_seed(1)

    for module in (copies, optimize):
        monkeypatch.setattr(module, "generator_for", recorded)
    auto_levels(lambda _: Interval(), grid=(0.1, 0.2))
    optimized(Interval(), steps=2)
    assert streams == {"noise_level/0.1", "noise_level/0.2", "noise_level/optimize"}


def best_by_quadrature(classifier: Interval, noise: type[Noise]) -> float:
    """Where the soft proxy is largest, its expectation taken by quadrature instead of draws."""
    sigmas = np.linspace(0.08, 0.5, 421)
    mid = (np.arange(4000) + 0.5) / 4000
    unit = special.ndtri(mid) if noise is Gaussian else math.sqrt(3.0) * (2 * mid - 1)
    top = classifier.soft_probability(np.outer(sigmas, unit)).mean(axis=1)
    if noise is Gaussian:
        other = np.clip(1 - top, 0.02, 0.98)
        values = sigmas / 2 * (special.ndtri(np.clip(top, 0.02, 0.98)) - special.ndtri(other))
    else:
        values = math.sqrt(3.0) * sigmas * (2 * top - 1)
    return float(sigmas[np.where(top > 0.5, values, 0.0).argmax()])


@pytest.mark.parametrize("start", [0.1, 0.25])
@pytest.mark.parametrize("noise", [Gaussian, Uniform])
def test_the_ascent_finds_the_best_sigma(noise: type[Noise], start: float) -> None:
    """From below and from above, against quadrature on a grid."""
    classifier = Interval(steepness=20.0)
    (level,) = optimized(
        classifier, noise=noise, sigma=start, steps=60, samples=500, step_size=0.1, bounds=(0.05, 0.6)
    )
    assert level.sigma == pytest.approx(best_by_quadrature(classifier, noise), rel=0.1)
    assert level.trials[0].sigma == start
    assert level.trials[-1].sigma == level.sigma
    assert level.samples == 61 * 500
    assert level.certifies


@pytest.mark.parametrize("noise", [Gaussian, Uniform])
def test_the_step_is_the_derivative_of_the_proxy(noise: type[Noise]) -> None:
    """Against central differences under common random numbers, the very draws of the first step."""
    classifier, width = Interval(steepness=5.0), 1e-5
    images = torch.tensor([0.5, 0.55, 0.35], dtype=torch.float64).reshape(3, 1, 1, 1)
    options: dict[str, Any] = {"noise": noise, "samples": 50, "bounds": (0.01, 2.0)}
    below, above = (
        [level.trials[0].proxy_radius for level in optimized(classifier, images, at, steps=0, **options)]
        for at in (0.25 - width, 0.25 + width)
    )
    levels = optimized(classifier, images, 0.25, steps=1, step_size=0.08, **options)
    for level, low, high in zip(levels, below, above, strict=True):
        gradient = (level.sigma - 0.25) / (0.08 * 0.25)
        assert abs(gradient) > 1e-3
        assert gradient == pytest.approx((high - low) / (2 * width), rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 20, 1000])
def test_images_do_not_interact(batch_size: int) -> None:
    """A batch, in any chunks and from a vector of starts, gives each image what it gets alone."""
    classifier = Interval(steepness=5.0)
    images = torch.tensor([0.5, 0.55, 0.35], dtype=torch.float64).reshape(3, 1, 1, 1)
    starts = torch.tensor([0.1, 0.2, 0.3])
    together = optimized(classifier, images, starts, batch_size=batch_size)
    for level, image, start in zip(together, images, starts, strict=True):
        (alone,) = optimized(classifier, image[None], float(start))
        assert level.sigma == pytest.approx(alone.sigma, rel=1e-9)
        assert [trial.top_count for trial in level.trials] == [trial.top_count for trial in alone.trials]


def test_sigma_stays_within_bounds() -> None:
    """A classifier that never errs pushes sigma up; the default bound is twice the start."""

    def certain(images: Tensor) -> Tensor:
        return torch.stack((5.0 + 0.0 * images.flatten(1)[:, 0], images.flatten(1)[:, 0] * 0.0), dim=1)

    (free,) = optimized(certain, sigma=0.2)
    (bounded,) = optimized(certain, sigma=0.2, bounds=(0.25, 0.3))
    assert free.sigma == 0.4
    assert bounded.sigma == 0.3
    assert all(0.25 <= trial.sigma <= 0.3 for trial in bounded.trials)
    assert free.trials[-1].top_count == free.trials[-1].n == 8


def test_on_a_lattice_classifiers_are_asked_there_only_and_images_grouped() -> None:
    """Every sigma asked for is a multiple within bounds, and one call serves all images of a classifier."""
    classifiers: dict[float, BaseClassifier] = {}
    calls: list[int] = []

    def classifier_for(sigma: float) -> BaseClassifier:
        def adapted(images: Tensor) -> Tensor:
            calls.append(len(images))
            return Interval(steepness=20.0)(images)

        return classifiers.setdefault(sigma, adapted)

    images = torch.tensor([0.5, 0.5, 0.35], dtype=torch.float64).reshape(3, 1, 1, 1)
    levels = optimize_sigma(
        classifier_for, images, Gaussian, 0.25, lattice=0.005, bounds=(0.101, 0.3), seed=1
    )
    on_lattice = [round(0.005 * k, 3) for k in range(21, 61)]
    assert set(classifiers) <= set(on_lattice)
    assert {level.sigma for level in levels} <= set(on_lattice)
    assert levels[0].sigma == levels[1].sigma
    assert calls[0] == 3 * 8
    assert len(calls) <= 2 * 21


def test_the_same_classifier_at_every_sigma_is_called_once_a_step() -> None:
    """Images at different sigmas share a batch when their classifier is one object."""
    calls: list[int] = []

    def classifier(images: Tensor) -> Tensor:
        calls.append(len(images))
        return Interval(steepness=20.0)(images)

    steps: list[tuple[int, int]] = []
    optimized(
        classifier, GREY.repeat(4, 1, 1, 1), torch.linspace(0.1, 0.3, 4), steps=3,
        on_step=lambda done, planned: steps.append((done, planned)),
    )  # fmt: skip
    assert calls == [4 * 8] * 4
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_ascent_can_be_ended_before_its_last_step() -> None:
    """The level reached by then is evaluated once more, and chosen; at worst that is the start."""

    def ended(after: int) -> ChosenSigma:
        asked = iter(range(after + 1))
        return optimized(Interval(), steps=10, stop=lambda: next(asked) == after)[0]

    assert [len(ended(after).trials) for after in (0, 3, 9)] == [1, 4, 10]
    assert ended(3).sigma == optimized(Interval(), steps=10)[0].trials[3].sigma
    assert ended(0).sigma == optimized(Interval(), steps=10)[0].trials[0].sigma


@pytest.mark.parametrize("lattice", [None, 0.005])
def test_a_gradient_that_is_not_finite_is_named(lattice: float | None) -> None:
    """Not the logits, which are finite: a root that is left out where there is none still has its slope there."""

    def kinked(images: Tensor) -> Tensor:
        above = images.flatten(1).mean(dim=1) - 5.0
        root = torch.where(above > 0.0, above.sqrt(), 0.0)
        return torch.stack((root + above, -root), dim=1)

    with pytest.raises(NonFiniteGradient, match="'base_classifier' must have a finite gradient"):
        optimized(kinked, lattice=lattice)


def test_choosing_leaves_parameters_and_the_global_generator_alone() -> None:
    """No gradients on the weights; inference mode outside does no harm; float32 works."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    images = torch.full((2, 1, 2, 2), 0.5)
    state = torch.get_rng_state()
    levels = optimized(net, images)
    with torch.inference_mode():
        again = optimized(net, images.clone())
    assert levels == again
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_soft_proxy_radius_by_hand() -> None:
    """σ/2·(Φ⁻¹(.8) − Φ⁻¹(.15)) with qnorm from R, the clamp, and λ(E_A − E_B)."""
    probabilities = torch.tensor([[0.15, 0.8, 0.05], [0.0, 0.0, 1.0]], dtype=torch.float64)
    sigma = torch.tensor([0.5, 0.5], dtype=torch.float64)
    gaussian = soft_proxy_radius(probabilities, sigma, Gaussian)
    assert gaussian.tolist() == pytest.approx([0.25 * (0.8416212336 + 1.0364333895), 0.5 * 2.0537489106])
    uniform = soft_proxy_radius(probabilities, sigma, Uniform)
    assert uniform.tolist() == pytest.approx([0.8660254038 * 0.65, 0.8660254038])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": ()}, r"'grid' must not be empty, got \[\]"),
        ({"grid": (0.1, -0.2)}, r"'grid' must be > 0 and finite, got \[-0\.2, 0\.1\]"),
        ({"grid": (0.1, 0.1)}, "'grid' must not repeat a sigma"),
        ({"n": 9}, "'n' must be >= 10 to certify at alpha = 0.001, got 9"),
        ({"alpha": 0.5}, r"'alpha' must be in \(0, 0\.5\), got 0\.5"),
        ({"bound": "none"}, "'bound' must be one of .*, got 'none'"),
        ({"images": GREY[0]}, r"'images' must have shape \(m, c, h, w\), got \(1, 1, 1\)"),
        ({"images": GREY * 255}, r"'images' must lie in \[0, 1\], got \(127\.5, 127\.5\)"),
        ({"images": GREY.half()}, "'images' must be uint8, float32 or float64, got torch.float16"),
    ],
)
def test_auto_noise_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    """Field, rule and value."""
    with pytest.raises(InvalidParameter, match=message):
        auto_levels(lambda _: Interval(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.0}, r"'sigma' must be > 0 and finite, got 0\.0"),
        ({"sigma": torch.tensor([0.1, 0.2])}, r"'sigma' must be one number or have shape \(1,\), got \(2,\)"),
        ({"steps": -1}, "'steps' must be >= 0, got -1"),
        ({"samples": 0}, "'samples' must be >= 1, got 0"),
        ({"step_size": math.nan}, "'step_size' must be > 0 and finite, got nan"),
        ({"bounds": (0.3, 0.2)}, r"'bounds' must be 0 < low <= high, finite, got \(0\.3, 0\.2\)"),
        ({"lattice": 0.0}, r"'lattice' must be > 0 and finite, got 0\.0"),
        ({"lattice": 10.0}, r"'lattice' must have a point within bounds, got 10\.0"),
    ],
)
def test_optimize_sigma_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    """Field, rule and value."""
    with pytest.raises(InvalidParameter, match=message):
        optimized(Interval(), **options)


def test_classifiers_that_cannot_be_differentiated_or_used_are_refused() -> None:
    """Another engine than torch has no gradients; NaN logits have no class."""
    with pytest.raises(InvalidParameter, match="'classifier_for' must give classifiers that torch can diff"):
        optimized(lambda images: Interval()(images.detach()))
    with pytest.raises(NonFiniteLogits):
        optimized(lambda images: Interval()(images) * torch.nan)
