"""Certificates through the real thing, against classifiers whose true radius is known."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from smoothing import (
    BOUNDS,
    Certification,
    Deadline,
    Gaussian,
    InvalidParameter,
    Look,
    Looks,
    Noise,
    Observer,
    Target,
    Uniform,
    certify,
    look_schedule,
    target_schedule,
)
from smoothing.bounds import lower_confidence_bound
from smoothing.errors import InvalidLogits, NonFiniteLogits
from smoothing.votes import Segment

SIGMA = 0.5


class Hearing(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.looks: list[Certification] = []
        self.progress: list[tuple[int, int]] = []

    def on_look(self, best: Certification) -> None:
        self.looks.append(best)

    def on_progress(self, completed: int, planned: int) -> None:
        self.progress.append((completed, planned))


def certificate(classifier: Any, image: Tensor, **changes: Any) -> Certification:
    """A certificate with everything at a small ordinary value unless it is changed."""
    arguments: dict[str, Any] = {"n": 1000, "batch_size": 500, "seed": 1, **changes}
    return certify(classifier, image, arguments.pop("noise", Gaussian(SIGMA)), **arguments)


def exceedances(
    classifier: Any, image: Tensor, certificates: int, n: int, alpha: float, looks: Looks | None, bound: str
) -> int:
    """Of so many seeded certificates, how many claim more than the true radius, or another class."""
    truth = classifier.true_radius(image)
    wrong = 0
    for seed in range(certificates):
        got = certificate(
            classifier, image, n0=20, n=n, alpha=alpha, stop=looks, bound=bound, batch_size=n, seed=seed
        )
        wrong += not got.abstained and (got.top_class != 0 or got.radius.l2 > truth)
    return wrong


@pytest.mark.parametrize(
    ("bound", "n", "alpha", "certificates"),
    [
        ("two_sided", 400, 0.001, 2000),
        ("two_sided", 400, 0.05, 2000),
        ("one_sided", 400, 0.05, 2000),
    ],
)
def test_certified_radius_rarely_exceeds_the_distance_to_the_plane(
    half_space: Any, image: Tensor, bound: str, n: int, alpha: float, certificates: int
) -> None:
    """The linear oracle: g's boundary is the plane itself, so its distance is the truth (p about 0.73)."""
    wrong = exceedances(half_space(0.3), image, certificates, n, alpha, None, bound)
    assert stats.binomtest(wrong, certificates, alpha, alternative="greater").pvalue > 1e-6


def test_linear_oracle_would_notice_twice_the_failure_rate(half_space: Any, image: Tensor) -> None:
    """The same 2 000 certificates at 2·alpha are rejected as certificates at alpha = 0.05."""
    wrong = exceedances(half_space(0.3), image, 2000, 400, 0.1, None, "two_sided")
    assert stats.binomtest(wrong, 2000, 0.05, alternative="greater").pvalue < 1e-6


def test_best_of_several_looks_rarely_exceeds_the_distance_to_the_plane(
    half_space: Any, image: Tensor
) -> None:
    """The running maximum over a schedule is as honest as a single look."""
    wrong = exceedances(half_space(0.3), image, 1000, 1000, 0.05, Looks(), "two_sided")
    assert stats.binomtest(wrong, 1000, 0.05, alternative="greater").pvalue > 1e-6


def test_tie_is_rarely_certified(half_space: Any, image: Tensor) -> None:
    """On the plane itself any certificate is false."""
    wrong = exceedances(half_space(0.0), image, 1000, 200, 0.05, None, "two_sided")
    assert stats.binomtest(wrong, 1000, 0.05, alternative="greater").pvalue > 1e-6


@pytest.mark.parametrize("bound", BOUNDS)
def test_radius_approaches_the_truth(half_space: Any, image: Tensor, bound: str, device: str) -> None:
    """With many votes the certificate is nearly the distance to the plane, in every norm."""
    classifier = half_space(0.5)
    got = certificate(classifier, image.to(device), n=50_000, batch_size=10_000, bound=bound)
    assert got.top_class == 0
    assert not got.abstained
    assert 0.95 * 0.5 < got.radius.l2 <= 0.5
    assert got.radius.l1 == got.radius.l2
    assert got.radius.linf == pytest.approx(got.radius.l2 / math.sqrt(6))


def test_certificate_can_be_computed_again_from_its_counts(stripes: Any, image: Tensor) -> None:
    """Counts, alpha and the split are all that bound and radius rest on."""
    got = certificate(stripes((0.6, 0.25, 0.15), SIGMA), image, stop=Looks())
    bound = BOUNDS[got.bound_name](
        got.counts, got.top_class, got.look_alpha, alpha_upper=got.bound.alpha_upper
    )
    assert bound == got.bound
    assert Gaussian(SIGMA).radius(bound.p_lower, bound.p_upper, dimension=6) == got.radius
    assert got.bound.alpha_lower + got.bound.alpha_upper <= got.look_alpha <= got.alpha == 0.001


def test_single_one_sided_look_is_the_papers_algorithm(half_space: Any, image: Tensor) -> None:
    """σΦ⁻¹(p_lower) with the Clopper–Pearson bound at alpha of the fresh votes."""
    got = certificate(half_space(0.4), image, bound="one_sided")
    expected = SIGMA * stats.norm.ppf(lower_confidence_bound(int(got.counts[0]), 1000, 0.001))
    assert got.radius.l2 == pytest.approx(expected, rel=1e-9)
    assert got.look_alpha == got.alpha == 0.001


def test_counts_add_up(stripes: Any, image: Tensor) -> None:
    """n0 selection votes, n estimation votes, drawn apart."""
    got = certificate(stripes((0.5, 0.3, 0.2), SIGMA), image, n0=77, n=1234)
    assert got.selection_counts.sum() == 77
    assert got.counts.sum() == got.n == got.n_drawn == 1234
    assert got.counts.dtype == np.int64
    assert got.selection_counts.dtype == np.int64


def test_estimation_votes_are_fresh(stripes: Any, image: Tensor) -> None:
    """Even of equal number, selection and estimation votes are different draws."""
    got = certificate(stripes((0.5, 0.5), SIGMA), image, n0=1000)
    assert not np.array_equal(got.selection_counts, got.counts)


def test_top_class_comes_from_the_selection_votes_alone(image: Tensor) -> None:
    """A class that wins the selection votes and loses the estimation votes is not replaced."""
    calls = 0

    def turncoat(images: Tensor) -> Tensor:
        nonlocal calls
        calls += len(images) > 1  # one image alone is asked for the number of classes
        return torch.tensor([[1.0, 0.0] if calls == 1 else [0.0, 1.0]]).repeat(len(images), 1)

    got = certificate(turncoat, image)
    assert got.top_class == 0
    assert got.abstained
    assert (got.radius.l2, got.radius.l1, got.radius.linf) == (0.0, 0.0, 0.0)


def test_two_sided_certifies_a_class_without_majority(stripes: Any, image: Tensor) -> None:
    """Four votes in ten against nine scattered classes: only the paper's bound abstains."""
    classifier = stripes((0.4, *[0.6 / 9] * 9), SIGMA)
    one, two = (certificate(classifier, image, bound=bound) for bound in ("one_sided", "two_sided"))
    assert one.abstained
    assert not two.abstained
    truth = SIGMA / 2 * (stats.norm.ppf(0.4) - stats.norm.ppf(0.6 / 9))
    assert 0.5 * truth < two.radius.l2 <= truth


def test_alpha_is_not_split_between_two_classes(half_space: Any, image: Tensor) -> None:
    """With two classes in the selection votes, two-sided is the paper's bound at full alpha."""
    one, two = (certificate(half_space(0.3), image, bound=bound) for bound in ("one_sided", "two_sided"))
    assert one.radius == two.radius
    assert two.bound.alpha_upper == 0.0


def test_same_seed_gives_the_same_certificate(stripes: Any, image: Tensor, device: str) -> None:
    """The seed is the certificate's only source of chance; the global one plays no part."""
    on = image.to(device)
    classifier = stripes((0.6, 0.4), SIGMA, on)
    torch.manual_seed(1)
    one = certificate(classifier, on, seed=5)
    torch.manual_seed(2)
    two = certificate(classifier, on, seed=5)
    assert np.array_equal(one.counts, two.counts)
    assert np.array_equal(one.selection_counts, two.selection_counts)
    assert one.radius == two.radius
    assert not np.array_equal(one.counts, certificate(classifier, on, seed=6).counts)


def test_radius_grows_from_look_to_look(half_space: Any, image: Tensor) -> None:
    """The observer hears the best so far after each look; it never shrinks and ends as the answer."""
    hearing = Hearing()
    looks = look_schedule(8000, 0.001)
    got = certificate(half_space(0.7), image, n=8000, stop=Looks(looks), observer=hearing)
    heard = hearing.looks
    assert [each.n_drawn for each in heard] == [look.n for look in looks]
    radii = [each.radius.l2 for each in heard]
    assert radii == sorted(radii)
    assert radii[0] < radii[-1] == got.radius.l2
    assert heard[-1] is got
    for each in heard:
        assert each.n == each.counts.sum() <= each.n_drawn
        assert Look(each.n, each.look_alpha) in looks


def test_best_look_is_kept_when_later_votes_disappoint(image: Tensor) -> None:
    """All looks hold at once: an early lead that melts away still counts, with the counts it is from."""
    calls = 0

    def fading(images: Tensor) -> Tensor:
        nonlocal calls
        calls += len(images) > 1  # one image alone is asked for the number of classes
        label = 0 if calls <= 3 else 1
        return torch.nn.functional.one_hot(torch.full((len(images),), label), 2).double()

    looks = (Look(100, 0.0005), Look(200, 0.0005))
    got = certificate(fading, image, n=200, stop=Looks(looks), batch_size=100, alpha=0.01)
    assert got.counts.tolist() == [200, 0]

    calls = 1
    got = certificate(fading, image, n=200, stop=Looks(looks), batch_size=100, alpha=0.01)
    assert got.counts.tolist() == [100, 0]
    assert (got.n, got.n_drawn, got.look_alpha, got.alpha) == (100, 200, 0.0005, 0.01)
    assert not got.abstained


def test_sampling_may_end_after_any_look(half_space: Any, image: Tensor) -> None:
    """A caller who has seen enough may stop; what was claimed by then holds."""
    hearing = Hearing()
    enough = Deadline(lambda: bool(hearing.looks) and hearing.looks[-1].radius.l2 >= 0.5)
    got = certificate(half_space(0.7), image, n=8000, stop=(Looks(), enough), observer=hearing)
    assert got is hearing.looks[-1]
    assert hearing.looks[-2].radius.l2 < 0.5 <= got.radius.l2 <= 0.7
    assert got.n_drawn < 8000


def test_progress_counts_every_vote(constant: Any, image: Tensor) -> None:
    """Selection and estimation votes, up to the total, whatever the looks."""
    hearing = Hearing()
    certificate(constant(2, 0), image, stop=Looks(), observer=hearing)
    assert {total for _, total in hearing.progress} == {1100}
    completed = [done for done, _ in hearing.progress]
    assert completed == sorted(set(completed))
    assert completed[0] == 100
    assert completed[-1] == 1100


def test_an_observer_may_abandon_the_certificate(constant: Any, image: Tensor) -> None:
    """What it raises comes out."""

    class Abandon(Observer):
        def on_progress(self, completed: int, planned: int) -> None:
            if completed >= 600:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        certificate(constant(2, 0), image, observer=Abandon())


@pytest.mark.parametrize("noise", [Gaussian(SIGMA), Uniform(SIGMA)])
@pytest.mark.parametrize("bound", ["one_sided", "two_sided"])
def test_target_is_reached_early(constant: Any, image: Tensor, noise: Noise, bound: str) -> None:
    """Perfect votes prove half the largest radius with a hundredth of the votes; it is a valid certificate."""
    whole = certificate(constant(2, 0), image, noise=noise, bound=bound, n=100_000, batch_size=50_000)
    target = 0.5 * whole.own_radius
    got = certificate(
        constant(2, 0), image, noise=noise, bound=bound, n=100_000, stop=Target(target), batch_size=1000
    )
    assert (got.stop_reason, got.target_radius) == ("target_reached", target)
    assert got.own_radius >= target
    assert got.n_drawn == got.n <= 500
    assert Look(got.n, got.look_alpha) in target_schedule(100_000, 0.001)


@pytest.mark.parametrize("p", [0.6, 0.8, 0.95])
def test_half_the_final_radius_takes_a_tenth_of_the_votes(stripes: Any, image: Tensor, p: float) -> None:
    """On average over certificates, also far from unanimity."""
    target = 0.5 * SIGMA * stats.norm.ppf(lower_confidence_bound(round(100_000 * p), 100_000, 0.001))
    drawn = []
    for seed in range(20):
        got = certificate(
            stripes((p, 1 - p), SIGMA),
            image,
            n0=1000,
            n=100_000,
            stop=Target(target),
            batch_size=5000,
            seed=seed,
        )
        assert got.stop_reason == "target_reached"
        drawn.append(got.n_drawn)
    assert np.mean(drawn) <= 10_000


def test_target_out_of_reach_stops_without_giving_anything_up(image: Tensor, stripes: Any) -> None:
    """Certain even with beta = 0, and no more can be certified with all the votes."""
    classifier = stripes((0.7, 0.3), SIGMA)
    got = certificate(classifier, image, n=10_000, stop=Target(0.5))
    assert got.stop_reason == "target_out_of_reach"
    assert got.n_drawn < 10_000
    assert not got.abstained
    looks = target_schedule(10_000, 0.001)
    assert certificate(classifier, image, n=10_000, stop=Looks(looks)).radius.l2 < 0.5


def test_target_is_given_up_early_at_beta(image: Tensor, stripes: Any) -> None:
    """A reserved failure probability saves most of the votes on a target far above the truth."""
    certain, likely = (
        certificate(stripes((0.7, 0.3), SIGMA), image, n=10_000, stop=Target(0.5, give_up=beta))
        for beta in (0.0, 0.001)
    )
    assert certain.stop_reason == likely.stop_reason == "target_out_of_reach"
    assert likely.n_drawn < 0.1 * certain.n_drawn


def test_undecided_target_takes_all_votes(image: Tensor, stripes: Any) -> None:
    """Just above what these votes prove, and below the truth."""
    truth = SIGMA * stats.norm.ppf(0.7)
    got = certificate(stripes((0.7, 0.3), SIGMA), image, n=1000, stop=Target(0.999 * truth, give_up=0.001))
    assert (got.stop_reason, got.n_drawn) == ("complete", 1000)


def test_hopeless_input_stops_early(stripes: Any, image: Tensor) -> None:
    """Where other classes clearly win, a small beta saves most of the votes; without it all are drawn."""
    classifier = stripes((0.34, 0.33, 0.33), SIGMA)
    arguments = {"n": 100_000, "batch_size": 5000, "bound": "one_sided"}
    got = certificate(classifier, image, **arguments, stop=Looks(give_up=0.001))
    assert (got.stop_reason, got.abstained) == ("hopeless", True)
    assert got.n_drawn <= 1000
    whole = certificate(classifier, image, **arguments)
    assert (whole.stop_reason, whole.abstained, whole.n_drawn) == ("complete", True, 100_000)


def test_certified_input_is_not_hopeless(half_space: Any, image: Tensor) -> None:
    """With beta the votes of an ordinary input all count, at the growing schedule."""
    got = certificate(half_space(0.3), image, n=5000, stop=Looks(give_up=0.001))
    again = certificate(half_space(0.3), image, n=5000, stop=Looks())
    assert (got.stop_reason, got.n_drawn, got.radius) == ("complete", 5000, again.radius)


def test_best_look_is_by_the_noises_own_norm(image: Tensor) -> None:
    """Uniform noise is about ℓ1."""
    calls = 0

    def fading(images: Tensor) -> Tensor:
        nonlocal calls
        calls += len(images) > 1  # one image alone is asked for the number of classes
        label = 0 if calls <= 2 else 1
        return torch.nn.functional.one_hot(torch.full((len(images),), label), 2).double()

    looks = (Look(100, 0.0005), Look(200, 0.0005))
    got = certificate(fading, image, noise=Uniform(SIGMA), n=200, stop=Looks(looks), batch_size=100)
    assert got.counts.tolist() == [100, 0]
    assert (got.n, got.n_drawn, got.stop_reason) == (100, 200, "complete")


@pytest.mark.parametrize("after", [1, 3, 4, 7, 13])
def test_stop_ends_sampling_after_the_first_look(half_space: Any, image: Tensor, after: int) -> None:
    """A clock that has run out: the best of the looks so far is the answer, and it is recorded so."""
    asked = 0

    def time_is_up() -> bool:
        nonlocal asked
        asked += 1
        return asked >= after

    looks = look_schedule(8000, 0.001)
    got = certificate(
        half_space(0.5), image, n=8000, stop=(Looks(looks), Deadline(time_is_up)), batch_size=100
    )
    assert got.stop_reason == "stopped"
    assert looks[0].n == 125
    assert 125 <= got.n_drawn < 8000
    passed = [look.n for look in looks if look.n <= got.n_drawn]
    assert got.n in passed
    assert sum(segment.n for segment in got.segments) == got.n_drawn
    if after == 1:
        assert got.n_drawn == 125


def test_time_left_changes_nothing(half_space: Any, image: Tensor) -> None:
    """Being asked between the batches leaves the votes as they are."""
    plain = certificate(half_space(0.5), image, n=3333)
    stop = Looks((Look(3333, 0.001),)), Deadline(lambda: False)
    asked = certificate(half_space(0.5), image, n=3333, stop=stop, observer=Observer())
    assert asked.counts.tolist() == plain.counts.tolist()
    assert asked.segments == plain.segments == (Segment("estimation", 3333, 500),)
    assert plain.selection_segments == (Segment("selection", 100, 500),)
    assert plain.stop_reason == asked.stop_reason == "complete"


def test_nan_is_not_certified(image: Tensor) -> None:
    """A broken classifier gets an error, not a perfect score for class 0."""
    with pytest.raises(NonFiniteLogits):
        certificate(lambda images: torch.full((len(images), 2), torch.nan), image)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n0": 0}, "'n0' must be >= 1, got 0"),
        ({"n": 9}, r"'n' must be >= 10 to certify at alpha = 0\.001, got 9"),
        ({"n": 0}, "'n' must be >= 1, got 0"),
        ({"alpha": 0.0}, "'alpha' must be in"),
        ({"alpha": 0.5}, r"'alpha' must be in \(0, 0\.5\), got 0\.5"),
        ({"alpha": math.nan}, "'alpha' must be in"),
        ({"bound": "three_sided"}, "'bound' must be one of one_sided, two_sided, .*got 'three_sided'"),
        ({"batch_size": 0}, "'batch_size' must be >= 1, got 0"),
        ({"seed": -1}, "'seed' must be in"),
        ({"stop": Looks(())}, "'looks' must rise"),
        ({"stop": Looks((Look(500, 0.0005), Look(500, 0.0005)))}, "'looks' must rise"),
        ({"stop": Looks((Look(500, 0.0005),))}, "'looks' must end at n = 1000, got 500"),
        (
            {"stop": Looks((Look(500, 0.001), Look(1000, 0.001)))},
            r"'looks' must spend at most alpha = 0\.001",
        ),
        ({"stop": Looks((Look(5, 0.0005), Look(1000, 0.0005)))}, "'n' must be >= 11 to certify"),
        ({"stop": (Looks(), Looks())}, "'stop' must be Looks, Target and Deadline, one of each at most"),
        ({"stop": "soon"}, "'stop' must be Looks, Target and Deadline, one of each at most, got .*soon"),
        ({"image": torch.zeros(2, 3)}, "'image' must have shape"),
        ({"image": torch.zeros(1, 2, 3).half()}, "'image' must be uint8, float32 or float64"),
        ({"image": torch.full((1, 2, 3), 255.0)}, r"'image' must lie in \[0, 1\], got \(255\.0, 255\.0\)"),
        ({"image": torch.full((1, 2, 3), torch.nan)}, r"'image' must lie in \[0, 1\]"),
    ],
)
def test_bad_arguments_are_named(constant: Any, image: Tensor, changes: dict[str, Any], message: str) -> None:
    """Each is refused before the classifier is asked, by field, rule and value."""
    image = changes.pop("image", image)
    with pytest.raises(InvalidParameter, match=message):
        certificate(constant(2, 0), image, **changes)


@pytest.mark.parametrize("radius", [0.0, math.inf, math.nan])
def test_a_target_is_positive_and_finite(radius: float) -> None:
    """It is refused where it is written."""
    with pytest.raises(InvalidParameter, match=f"'radius' must be positive and finite, got {radius}"):
        Target(radius)


@pytest.mark.parametrize("give_up", [-0.1, 1.0, math.nan])
@pytest.mark.parametrize(
    "rule", [lambda give_up: Looks(give_up=give_up), lambda give_up: Target(1.0, give_up)]
)
def test_giving_up_has_a_probability(rule: Any, give_up: float) -> None:
    """1 would give up everything."""
    with pytest.raises(InvalidParameter, match=rf"'give_up' must be in \[0, 1\), got {give_up}"):
        rule(give_up)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_deadline_lies_ahead(seconds: float) -> None:
    """No time at all is no question."""
    with pytest.raises(InvalidParameter, match=f"'seconds' must be positive and finite, got {seconds}"):
        Deadline(seconds)


def test_a_deadline_in_seconds_ends_sampling(constant: Any, image: Tensor) -> None:
    """It begins with the call; the first look is taken however little time there is."""
    got = certificate(constant(2, 0), image, n=100_000_000, batch_size=100, stop=Deadline(1e-9))
    assert got.stop_reason == "stopped"
    assert got.n_drawn == look_schedule(100_000_000, 0.001)[0].n
    assert not got.abstained


def test_the_seed_is_drawn_and_kept(stripes: Any, image: Tensor) -> None:
    """The result has all that is needed to draw its votes again."""
    classifier = stripes((0.6, 0.4), SIGMA)
    one, two = certificate(classifier, image, seed=None), certificate(classifier, image, seed=None)
    assert one.seed != two.seed
    assert certificate(classifier, image, seed=one.seed).counts.tolist() == one.counts.tolist()
    assert (one.noise, one.dimension, one.own_radius) == (Gaussian(SIGMA), 6, one.radius.l2)


def test_the_number_of_classes_is_found(constant: Any, image: Tensor) -> None:
    """The classifier's own attribute counts; else one image's logits are looked at."""
    assert len(certificate(constant(7, 0), image).counts) == 7

    class Asked:
        calls = 0

        def __call__(self, images: Tensor) -> Tensor:
            self.calls += 1
            return torch.nn.functional.one_hot(torch.zeros(len(images), dtype=torch.int64), 4).double()

    asked = Asked()
    assert len(certificate(asked, image, n0=10, n=20).counts) == 4
    assert asked.calls == 3
    asked.num_classes = 5  # type: ignore[attr-defined]  # as a network of a library may have
    with pytest.raises(InvalidLogits, match=r"of shape \(10, 5\), got torch.float64 of shape \(10, 4\)"):
        certificate(asked, image, n0=10, n=20)


@pytest.mark.parametrize("logits", [lambda images: images, lambda images: images.flatten(1)[:, :1]])
def test_one_class_is_no_question(image: Tensor, logits: Any) -> None:
    """There must be two at least, in a row for each image."""
    with pytest.raises(
        InvalidLogits, match=r"floating logits of shape \(1, k\), k >= 2, got torch.float32 of"
    ):
        certificate(logits, image)
