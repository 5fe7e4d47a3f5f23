"""Training: every recipe runs, and an interrupted run ends as an uninterrupted one."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from models.backends import BackendError
from models.bundles import load_bundle
from models.data import LabelledImages, load_dataset
from models.errors import BundleExistsError
from models.training import TrainingError, TrainingPlan, train
from models.training.augment import random_crop, random_flip
from models.training.checkpoint import save_checkpoint
from models.training.distributed import Group
from models.training.loop import conditions, initial_state, split
from models.training.measure import accuracy, robust_accuracy
from models.training.recipes import RECIPES
from models.training.schedule import one_cycle
from models.training.train import write_one
from models.training.validation import Validation, validate
from radii.main import app
from tests.support.training import tiny_plan, train_once


def changed(plan: TrainingPlan, **changes: Any) -> TrainingPlan:
    return TrainingPlan(**{**dict(plan), **changes})


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_ends_in_a_bundle_that_says_how_it_was_made(trained_folder: Path, recipe: str) -> None:
    """A short run writes weights, numbers, licence, clean set and examples, and clears its checkpoint."""
    plan = train_once(recipe, trained_folder)
    bundle = load_bundle(plan.out)
    card = bundle.card
    assert (card.recipe, card.arguments) == (recipe, {"width": 2})
    assert card.command is not None
    assert card.command.startswith(f"radii train {recipe} --dataset fashion-mnist --sigma 0.1 --width 2")
    assert [(metric.metric, metric.n) for metric in card.metrics] == [
        ("clean_accuracy", 20),
        ("noisy_accuracy", 20),
        ("noisy_accuracy_adapted", 20),
        ("epoch", 8),
    ]
    assert bundle.clean is not None
    assert bundle.clean.shape == (48, 1, 12, 12)
    assert len(card.examples) == 10
    assert card.training_data is not None
    assert "Zalando" in (plan.out / str(card.training_data.licence_file)).read_text()
    assert not plan.checkpoint.exists()


def test_the_command_repeats_the_plan(tmp_path: Path) -> None:
    """Whatever differs from the defaults is in the command; what does not is left out."""
    plan = TrainingPlan(recipe="gaussian", out=Path("out"), architecture_arguments={"width": 16}, epochs=10)
    expected = (
        "radii train gaussian --dataset fashion-mnist --sigma 0.5 --width 16 --epochs 10 --seed 0 --out out"
    )
    assert plan.radii_command() == expected
    other = changed(plan, batch_size=64, flip=False, crop_padding=2, sigma=0.12345678)
    assert "--sigma 0.12345678 " in other.radii_command()
    assert "--epochs 10 --batch-size 64 --crop-padding 2 --no-flip --seed 0" in other.radii_command()


class StoppedError(Exception):
    """Stands for a power cut after the first epoch."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resumed_run_ends_with_the_same_weights(
    trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """Stopped after one epoch of two and resumed, the weights are those of one go, to the bit.

    Also where the recipe has a memory, whose levels move from the first step on.
    """
    whole = train_once(recipe, trained_folder)

    def save_and_stop(*arguments: Any) -> None:
        save_checkpoint(*arguments)
        raise StoppedError

    parts = changed(whole, out=tmp_path / "parts")
    with monkeypatch.context() as patch:
        patch.setattr("models.training.loop.save_checkpoint", save_and_stop)
        with pytest.raises(StoppedError):
            train(parts)
    content = torch.load(parts.checkpoint, weights_only=True)
    assert bool(content["best"]["weights"]) == (parts.kept == "best")  # no copy that nobody needs
    train(changed(parts, resume=True))
    expected = load_file(whole.out / "weights.safetensors")
    for key, value in load_file(parts.out / "weights.safetensors").items():
        assert torch.equal(value, expected[key]), key


def interrupted(plan: TrainingPlan, *, epoch: int = 0, **others: int | str) -> dict[str, Any]:
    """Leaves the checkpoint that a run of this plan leaves, under conditions other than here where given."""
    assert plan.data_root is not None
    dataset = load_dataset("fashion-mnist", plan.data_root)
    device = torch.device("cpu")
    state = initial_state(plan, dataset, device)
    state.epoch = epoch
    save_checkpoint(plan, state, {**conditions(plan, dataset, device, Group()), **others})
    content: dict[str, Any] = torch.load(plan.checkpoint, weights_only=True)
    return content


def test_a_checkpoint_of_another_plan_is_refused(synthetic_fashion: Path, tmp_path: Path) -> None:
    """Resuming with another learning rate would be a run that no command describes."""
    plan = tiny_plan(synthetic_fashion, tmp_path / "tiny")
    interrupted(plan)
    other = changed(plan, resume=True, learning_rate=0.3)
    with pytest.raises(TrainingError, match=r"'learning_rate' must be 0.2 to resume .* got 0.3"):
        train(other)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ({"processes": 2}, "'processes' must be 2 to resume .* got 1"),
        ({"device": "cuda"}, "'device' must be cuda to resume .* got cpu"),
        ({"precision": "bfloat16"}, "'precision' must be bfloat16 to resume .* got float32"),
        (
            {"training_labels": "47 of sha256 0"},
            "'training_labels' must be 47 of sha256 0 to resume .* got 48 of",
        ),
    ],
)
def test_a_checkpoint_made_under_other_conditions_is_refused(
    synthetic_fashion: Path, tmp_path: Path, then: dict[str, int | str], reason: str
) -> None:
    """They decide the outcome where the plan leaves them open; other labels are another data set."""
    plan = tiny_plan(synthetic_fashion, tmp_path / "tiny")
    interrupted(plan, **then)
    with pytest.raises(TrainingError, match=reason):
        train(changed(plan, resume=True))


def test_a_checkpoint_of_an_older_release_is_gone_on_from_if_it_can_be(
    synthetic_fashion: Path, tmp_path: Path
) -> None:
    """One that tells no conditions is; one of a plan that had fewer fields may have been of another run."""
    plan = tiny_plan(synthetic_fashion, tmp_path / "tiny", resume=True)
    content = interrupted(plan)
    for key in ("processes", "device", "precision", "training_labels"):
        del content[key]
    images = content["plan"].pop("images")
    torch.save(content, plan.checkpoint)
    with pytest.raises(TrainingError, match=r"is of another release, whose plans differ in \['images'\]"):
        train(plan)
    content["plan"]["images"] = images
    torch.save(content, plan.checkpoint)
    train(plan)
    assert load_bundle(plan.out).card.recipe == "gaussian"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-100], "is damaged"),
        (lambda _: b"", "is damaged"),
        (lambda _: b"no checkpoint", "is damaged"),
        (lambda _: tensors(), "is of an older release, or no checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_named(
    synthetic_fashion: Path, tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    """Cut short, empty, or another file."""
    plan = tiny_plan(synthetic_fashion, tmp_path / "tiny", resume=True)
    interrupted(plan)
    plan.checkpoint.write_bytes(damage(plan.checkpoint.read_bytes()))
    with pytest.raises(TrainingError, match=rf"tiny\.checkpoint\.pt {reason}.*: delete it"):
        train(plan)


def tensors() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, buffer)
    return buffer.getvalue()


def test_an_interrupted_run_is_not_overwritten_unless_asked(synthetic_fashion: Path, tmp_path: Path) -> None:
    """Who forgets `--resume` would lose it after one epoch."""
    plan = tiny_plan(synthetic_fashion, tmp_path / "tiny", epochs=1)
    interrupted(plan, epoch=1)
    with pytest.raises(TrainingError, match="`--resume` goes on from it, `--overwrite` starts anew"):
        train(plan)
    assert plan.checkpoint.exists()
    anew = train(changed(plan, overwrite=True))
    untrained = initial_state(
        plan, load_dataset("fashion-mnist", synthetic_fashion), torch.device("cpu")
    ).model
    trained = load_bundle(anew).base_classifier.state_dict()
    assert any(not torch.equal(value, trained[key]) for key, value in untrained.state_dict().items())


def test_the_seed_decides_and_global_randomness_is_left_alone(
    synthetic_fashion: Path, tmp_path: Path
) -> None:
    """Two runs of one plan give the same weights, and torch's global generator does not move."""
    state = torch.get_rng_state()
    digests = [
        load_bundle(train(tiny_plan(synthetic_fashion, tmp_path / name, epochs=1, seed=seed))).digest
        for name, seed in (("one", 3), ("same", 3), ("other", 4))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_taken_folder_is_refused_before_training(synthetic_fashion: Path, tmp_path: Path) -> None:
    """Minutes of training must not end in a refusal; what is no bundle is not replaced."""
    with pytest.raises(BundleExistsError, match="'out' must not exist yet"):
        train(tiny_plan(synthetic_fashion, tmp_path))
    with pytest.raises(BundleExistsError, match="'out' must be a bundle, with a card, to be replaced"):
        train(tiny_plan(synthetic_fashion, tmp_path, overwrite=True))


def test_progress_goes_to_the_console_that_is_given(synthetic_fashion: Path, tmp_path: Path) -> None:
    """One line an epoch has the loss and both accuracies on held-out images."""
    console = Console(record=True, width=120, quiet=False, file=(tmp_path / "log").open("w"))
    with console.file:
        train(tiny_plan(synthetic_fashion, tmp_path / "tiny"), console=console)
    lines = [line for line in console.export_text().splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    assert "held-out accuracy" in lines[1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipe": "magic"}, "'recipe' must be one of standard, gaussian, .* got 'magic'"),
        ({"dataset": "mnist"}, "'dataset' must be one of .* got 'mnist'"),
        ({"architecture": "alexnet"}, "'architecture' must be one of .* got 'alexnet'"),
        ({"epochs": 0}, "'epochs' Input should be greater than or equal to 1, got 0"),
        ({"sigma": -0.5}, "'sigma' Input should be greater than or equal to 0, got -0.5"),
        ({"sigma": float("nan")}, "'sigma' Input should be a finite number, got nan"),
        ({"sigma": float("inf")}, "'sigma' Input should be a finite number, got inf"),
        ({"sigma": 0.0}, "'sigma' must be > 0 where 'gaussian' trains with noise, got 0.0"),
        ({"learning_rate": float("inf")}, "'learning_rate' Input should be a finite number, got inf"),
        ({"weight_decay": float("nan")}, "'weight_decay' Input should be a finite number, got nan"),
        ({"seed": 2**64}, "'seed' Input should be less than 18446744073709551616, got 18446744073709551616"),
        ({"images": 15}, "'images' must be >= 'batch_size' 16, got 15"),
        ({"crop_padding": -1}, "'crop_padding' Input should be greater than or equal to 0, got -1"),
        ({"label_smoothing": 1.0}, "'label_smoothing' Input should be less than 1, got 1.0"),
        ({"recipe": "macer", "label_smoothing": 0.1}, "'label_smoothing' must be 0 for 'macer', .* got 0.1"),
        (
            {"recipe": "data_dependent", "recipe_arguments": {"around": "macer"}, "label_smoothing": 0.1},
            "'label_smoothing' must be 0 for 'macer', .* got 0.1",
        ),
        ({"out": Path("bundles/My-Model")}, "'out' must be fit to name a bundle .* got 'My-Model'"),
        ({"name": "Mine"}, "'name' must be fit to name a bundle .* got 'Mine'"),
        (
            {"recipe": "adversarial", "last_out": Path("My-Last")},
            "'last_out' must be fit to name a bundle .* got 'My-Last'",
        ),
        ({"keep": "Best"}, "'keep' Input should be 'best' or 'last', got Best"),
        ({"precision": "bf16"}, "'precision' Input should be 'auto', 'float32' or 'bfloat16', got bf16"),
        ({"device": "gpu"}, "'device' Input should be 'auto', 'cpu' or 'cuda', got gpu"),
        ({"held_out": 0, "keep": "best"}, "'held_out' must be > 0 where the best epoch is kept, got 0"),
        (
            {"held_out": 0, "recipe": "adversarial"},
            "'held_out' must be > 0 where the best epoch is kept, got 0",
        ),
    ],
)
def test_impossible_plans_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    """A plan is checked when it is made, not after an epoch."""
    with pytest.raises(TrainingError, match=reason):
        tiny_plan(tmp_path, **{"out": tmp_path / "out", **changes})


def test_a_recipe_without_noise_needs_none(tmp_path: Path) -> None:
    """And a bundle that is named otherwise may lie in any folder."""
    plan = tiny_plan(tmp_path, tmp_path / "My-Model", recipe="standard", sigma=0.0, name="mine")
    assert "--sigma 0.0" in plan.radii_command()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--width", "0"), "'width' must be >= 1, got 0"),
        (("--architecture", "cifar_resnet20", "--width", "16"), "'arguments' must suit cifar_resnet20"),
        (("--sigma", "-1"), "'sigma' Input should be greater than or equal to 0, got -1.0"),
        (("--epsilon", "1"), "'epsilon' is no argument of the recipe 'gaussian'"),
    ],
)
def test_the_command_line_tells_what_is_impossible(
    synthetic_fashion: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    """In a sentence, before anything is trained or written."""
    asked = ["train", "gaussian", "--data", str(synthetic_fashion), "--out", str(tmp_path / "out"), *words]
    ran = CliRunner().invoke(app, [*asked, "--batch-size", "16", "--held-out", "8"])
    assert ran.exit_code == 1
    assert isinstance(ran.exception, SystemExit)
    assert reason in " ".join(ran.output.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "value"), [("--device", "gpu"), ("--keep", "Best"), ("--norm", "l3")])
def test_a_choice_that_there_is_not_is_refused_by_the_command_line(option: str, value: str) -> None:
    ran = CliRunner().invoke(app, ["train", "gaussian", "--out", "nowhere", option, value])
    assert ran.exit_code == 2
    said = " ".join(ran.output.split())
    assert f"Invalid value for '{option}'" in said
    assert f"'{value}' is not one of" in said


def test_cuda_is_refused_where_there_is_none(synthetic_fashion: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is CUDA on this machine")
    with pytest.raises(BackendError, match="'device' cuda must exist, got 0 CUDA devices"):
        train(tiny_plan(synthetic_fashion, tmp_path / "out", device="cuda"))


def test_all_images_may_be_trained_on(synthetic_fashion: Path, tmp_path: Path) -> None:
    """With none held out there is nothing to validate on: lines have the loss alone, the last epoch is kept."""
    console = Console(record=True, width=120, file=(tmp_path / "log").open("w"))
    with console.file:
        bundle = load_bundle(
            train(tiny_plan(synthetic_fashion, tmp_path / "tiny", held_out=0), console=console)
        )
    lines = [line for line in console.export_text().splitlines() if line.startswith("epoch")]
    assert [line.split()[:3] for line in lines] == [["epoch", "1", "loss"], ["epoch", "2", "loss"]]
    assert not any("held-out" in line for line in lines)
    assert [metric.value for metric in bundle.card.metrics if metric.metric == "epoch"] == [2]


def test_too_few_images_are_refused(synthetic_fashion: Path, tmp_path: Path) -> None:
    """What is held out cannot be trained on as well."""
    with pytest.raises(TrainingError, match=r"<= 48 training images, got 40 \+ 16"):
        train(tiny_plan(synthetic_fashion, tmp_path / "out", held_out=40))
    with pytest.raises(TrainingError, match=r"'held_out' \+ 'images' must be <= 48 .* got 8 \+ 41"):
        train(tiny_plan(synthetic_fashion, tmp_path / "out", images=41))


def test_fewer_images_may_be_trained_on(synthetic_fashion: Path, tmp_path: Path) -> None:
    """A part of those that all would be; what is held out stays the same, and the card's command says it."""
    data = load_dataset("fashion-mnist", synthetic_fashion).train
    every, held_out = split(tiny_plan(synthetic_fashion, tmp_path / "out"), data)
    some, same = split(tiny_plan(synthetic_fashion, tmp_path / "out", images=16), data)
    assert (len(every), len(some), len(held_out)) == (40, 16, 8)
    assert pictures(some) < pictures(every)
    assert pictures(held_out) == pictures(same)
    bundle = load_bundle(train(tiny_plan(synthetic_fashion, tmp_path / "tiny", images=16)))
    assert "--held-out 8 --images 16" in (bundle.card.command or "")


def pictures(data: LabelledImages) -> set[bytes]:
    return {image.tobytes() for image in np.asarray(data.images[:])}


def test_a_crop_is_a_shift_within_the_padding() -> None:
    """A single bright pixel moves by at most the padding, and all shifts occur."""
    images = torch.zeros(500, 1, 9, 9)
    images[:, :, 4, 4] = 1
    cropped = random_crop(images, 2, torch.Generator().manual_seed(0))
    places = cropped.flatten(1).argmax(1)
    rows, columns = places // 9 - 4, places % 9 - 4
    assert cropped.shape == images.shape
    assert cropped.sum() == 500
    assert set(rows.tolist()) == set(columns.tolist()) == {-2, -1, 0, 1, 2}


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    """An image is mirrored as a whole or not at all."""
    images = torch.arange(4.0).expand(1000, 1, 4, 4)
    flipped = random_flip(images, torch.Generator().manual_seed(0))
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 400 < int(mirrored.sum()) < 600


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    """One cycle: a linear warm-up over a fifth, then half a cosine."""
    rates = [one_cycle(step / 100) for step in range(101)]
    assert max(rates) == rates[20] == 1.0
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)


def test_early_stopping_keeps_the_best_epoch_and_the_last_one_if_asked(
    synthetic_fashion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out scores fall after the first epoch: the bundle holds that epoch, the second one the last."""
    seen: list[dict[str, torch.Tensor]] = []
    scores = iter([0.9, 0.5, 0.6])

    def falling(plan: TrainingPlan, classifier: torch.nn.Module, *_: Any) -> Validation:
        seen.append({key: value.clone() for key, value in classifier.state_dict().items()})
        return Validation(clean=0.0, noisy=next(scores), robust=None)

    monkeypatch.setattr("models.training.loop.validate", falling)
    plan = tiny_plan(synthetic_fashion, tmp_path / "best", epochs=3, keep="best", last_out=tmp_path / "last")
    best = load_bundle(train(plan))
    last = load_bundle(tmp_path / "last")
    for bundle, epoch in ((best, 1), (last, 3)):
        for key, value in bundle.base_classifier.state_dict().items():
            assert torch.equal(value, seen[epoch - 1][key]), (epoch, key)
        kept = [metric.value for metric in bundle.card.metrics if metric.metric == "epoch"]
        assert kept == [epoch]
    assert (best.card.name, last.card.name) == ("best", "last")


def test_robust_accuracy_falls_as_the_attack_grows() -> None:
    """A linear classifier of known margins: each image is lost exactly when ε passes its distance."""
    images = torch.full((4, 1, 2, 2), 128, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([140, 160, 180, 200])
    data = LabelledImages(images.numpy(), np.zeros(4, dtype=np.int64))

    class Brighter(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            margin = x[:, 0, 0, 0] - 128 / 255
            return torch.stack([margin, -margin], dim=1)

    found = [
        robust_accuracy(Brighter(), data, norm="l2", epsilon=epsilon / 255, steps=20)
        for epsilon in (0.0, 11.0, 13.0, 31.0, 33.0, 51.0, 53.0, 71.0, 73.0)
    ]
    assert found == [1.0, 1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0.0]


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        ({"norm": "l2", "epsilon": 0.1, "attack_steps": 20}, 0.75),
        ({"norm": "linf", "epsilon": 0.1, "attack_steps": 20}, 0.25),
        ({"norm": "linf", "epsilon": 0.1, "attack_steps": 1}, 0.75),
        ({"norm": "linf", "epsilon": 0.05, "attack_steps": 20}, 0.75),
        ({}, 0.0),
    ],
)
def test_validation_is_under_the_attack_of_the_plan(
    tmp_path: Path, attack: dict[str, Any], expected: float
) -> None:
    """The attack moves a sum of four pixels by 2ε in l2 and by 4ε in linf, and in one step hardly at all."""
    sums = [0.1, 0.25, 0.39, 0.6]
    images = np.full((4, 1, 2, 2), 128, dtype=np.uint8)
    images += np.round(np.array(sums) * 255 / 4).astype(np.uint8)[:, None, None, None]
    data = LabelledImages(images, np.zeros(4, dtype=np.int64))

    class Brighter(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            margin = (x - 128 / 255).sum((1, 2, 3))
            return torch.stack([margin, -margin], dim=1)

    plan = tiny_plan(tmp_path, tmp_path / "out", recipe="adversarial", recipe_arguments=attack)
    found = validate(plan, Brighter(), data, torch.device("cpu"))
    assert (found.clean, found.robust, found.score(plan.recipe)) == (1.0, expected, expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_measurements_on_cuda_are_in_float32() -> None:
    """Also where training may use TF32, whose products have 10 bits."""
    matmul = torch.backends.cuda.matmul
    seen = []

    class Asking(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(matmul.fp32_precision)
            return x.flatten(1)

    data = LabelledImages(np.zeros((4, 1, 2, 2), dtype=np.uint8), np.zeros(4, dtype=np.int64))
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        accuracy(Asking(), data, device="cuda")
        robust_accuracy(Asking(), data, norm="l2", epsilon=0.1, steps=1, device="cuda")
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before
    assert seen == ["ieee"] * 3


def test_the_last_epoch_is_no_second_bundle_where_it_is_kept_anyway(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'last_out' must be omitted"):
        TrainingPlan(recipe="gaussian", out=tmp_path / "out", last_out=tmp_path / "last")


def test_two_bundles_do_not_share_a_folder(tmp_path: Path) -> None:
    """By whatever path the second one is named."""
    out = tmp_path / "out"
    for same in (out, tmp_path / "other" / ".." / "out"):
        with pytest.raises(TrainingError, match=r"'last_out' must be another folder than 'out', got .*out"):
            TrainingPlan(recipe="adversarial", out=out, last_out=same)


def test_a_run_that_stops_between_its_two_bundles_is_finished_by_resuming(
    synthetic_fashion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is there is no obstacle, since this run made it; without resuming it is."""
    whole = tiny_plan(synthetic_fashion, tmp_path / "whole", keep="best", last_out=tmp_path / "whole-last")
    train(whole)
    parts = tiny_plan(synthetic_fashion, tmp_path / "parts", keep="best", last_out=tmp_path / "parts-last")

    def write_and_stop(*arguments: Any, **options: Any) -> None:
        write_one(*arguments, **options)
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[train.__module__], "write_one", write_and_stop)
        with pytest.raises(StoppedError):
            train(parts)
    assert (tmp_path / "parts-last").exists()
    assert not parts.out.exists()
    with pytest.raises(BundleExistsError, match="'last_out' must not exist yet"):
        train(parts)
    train(changed(parts, resume=True))
    assert not parts.checkpoint.exists()
    for name in ("whole", "whole-last"):
        expected = load_bundle(tmp_path / name)
        found = load_bundle(tmp_path / name.replace("whole", "parts"))
        assert found.card.digests == expected.card.digests


def test_another_bundle_in_the_place_of_the_second_one_stops_a_resumed_run_at_once(
    synthetic_fashion: Path, tmp_path: Path
) -> None:
    """A run that is done with its epochs replaces its own bundle, and no other."""
    other = train(tiny_plan(synthetic_fashion, tmp_path / "other", epochs=1))
    before = load_bundle(other).digest
    plan = tiny_plan(synthetic_fashion, tmp_path / "out", keep="best", last_out=other, resume=True)
    interrupted(plan, epoch=plan.epochs)
    with pytest.raises(BundleExistsError, match="'last_out' must not exist yet"):
        train(plan)
    assert load_bundle(other).digest == before
