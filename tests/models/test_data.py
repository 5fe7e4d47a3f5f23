"""Data sets, from idx files as they are found on disk."""

import gzip
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets import CIFAR10

from models.bundles import load_bundle
from models.data import DATASETS, DatasetError, LabelledImages, load_dataset
from models.data.fashion_mnist import DEBIAN_FOLDER, read_idx
from models.training import TrainingError, TrainingPlan, train
from models.training.feeding import TrainingImages
from tests.models.support import grey_images, idx_bytes

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_plain_and_gzipped_files(tmp_path: Path, suffix: str) -> None:
    """The values come back in their shape, and may be written to."""
    path = tmp_path / f"values{suffix}"
    content = idx_bytes(VALUES)
    path.write_bytes(gzip.compress(content) if suffix else content)
    read = read_idx(path, dimensions=3)
    np.testing.assert_array_equal(read, VALUES)
    assert read.flags.writeable


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must start with 0x00000803, got 0x$"),
        (b"\x00\x00\x0d\x03" + bytes(12), "must start with 0x00000803, got 0x00000d03"),
        (b"PNG!" + bytes(12), "must start with 0x00000803, got 0x504e4721"),
        (idx_bytes(VALUES[0]), "must start with 0x00000803, got 0x00000802"),
        (idx_bytes(VALUES)[:9], r"must have 16 bytes for shape \[2, 0, 0\], got 9"),
        (idx_bytes(VALUES)[:-1], r"must have 40 bytes for shape \[2, 3, 4\], got 39"),
        (idx_bytes(VALUES) + b"x", r"must have 40 bytes for shape \[2, 3, 4\], got 41"),
    ],
)
def test_damaged_files_are_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    """Truncated, too long, and foreign files are told apart."""
    path = tmp_path / "values"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=reason):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize("content", [b"not gzip at all", gzip.compress(idx_bytes(VALUES))[:-9]])
def test_damaged_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    """A gzip stream that is none, or ends early, cannot be read."""
    path = tmp_path / "values.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"values.gz: cannot be read"):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_where_it_looked(tmp_path: Path, name: str) -> None:
    """Without files and without leave to download, the folder is named."""
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_dataset(name, tmp_path)


def test_unknown_data_sets_are_refused() -> None:
    """The message repeats the name."""
    with pytest.raises(DatasetError, match=r"'dataset' must be one of .* got 'mnist'"):
        load_dataset("mnist")


def test_fashion_mnist_reads_a_folder_of_idx_files(synthetic_fashion: Path) -> None:
    """Both splits become 8-bit (n, 1, h, w) with int64 labels."""
    dataset = load_dataset("fashion-mnist", synthetic_fashion)
    assert dataset.train.images.shape == (48, 1, 12, 12)
    assert dataset.test.labels.dtype == np.int64
    assert dataset.input_shape == (1, 12, 12)
    assert len(dataset.classes) == 10


def test_labels_beyond_the_classes_are_refused(synthetic_fashion: Path, tmp_path: Path) -> None:
    """A label that no class has cannot be Fashion-MNIST's."""
    for file in synthetic_fashion.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(20, 10, dtype=np.uint8)))
    with pytest.raises(DatasetError, match="labels must be < 10, got 10"):
        load_dataset("fashion-mnist", tmp_path)


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_files_have_the_published_sizes_and_statistics() -> None:
    """60 000 and 10 000 images, 6 000 a class, and the mean and std of the card."""
    dataset = load_dataset("fashion-mnist")
    assert (len(dataset.train), len(dataset.test)) == (60_000, 10_000)
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    assert dataset.train.images.mean() / 255 == pytest.approx(dataset.mean[0], abs=1e-4)
    assert dataset.train.images.std() / 255 == pytest.approx(dataset.std[0], abs=1e-4)


def test_a_balanced_draw_has_as_many_of_each_class_as_there_are() -> None:
    """Classes differ by one at most, no image is drawn twice, and the seed decides."""
    labels = np.repeat(np.arange(3), [20, 30, 40])
    data = LabelledImages(grey_images(90), labels)
    drawn = data.balanced(31, np.random.default_rng(5))
    assert sorted(np.bincount(drawn.labels).tolist()) == [10, 10, 11]
    assert len(np.unique(drawn.images, axis=0)) == 31
    again = data.balanced(31, np.random.default_rng(5))
    np.testing.assert_array_equal(again.images, drawn.images)


def test_labels_must_match_images() -> None:
    """One label per image."""
    with pytest.raises(DatasetError, match=r"one label per image \(4\), got \(3,\)"):
        LabelledImages(grey_images(4), np.zeros(3, dtype=np.int64))


def pickled_cifar(folder: Path, monkeypatch: pytest.MonkeyPatch, per_batch: int = 12) -> NDArray[np.uint8]:
    """CIFAR-10's own files, pickles of rows of 3 072 bytes, with few rows; returns the first row as an image."""
    generator = np.random.default_rng(0)
    base = folder / CIFAR10.base_folder
    base.mkdir()
    first = None
    digests = {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        rows = generator.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        first = rows[0] if first is None else first
        content = pickle.dumps({"data": rows, "labels": [int(row) % 10 for row in range(per_batch)]})
        (base / name).write_bytes(content)
        digests[name] = hashlib.md5(content).hexdigest()
    names = pickle.dumps({"label_names": [f"class{number}" for number in range(10)]})
    (base / "batches.meta").write_bytes(names)
    monkeypatch.setattr(
        CIFAR10, "train_list", [[f"data_batch_{n}", digests[f"data_batch_{n}"]] for n in range(1, 6)]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", digests["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": hashlib.md5(names).hexdigest()})
    assert first is not None
    return first.reshape(3, 32, 32)


def test_cifar10_reads_the_files_of_its_authors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are three planes of 32×32; both splits and the names of the classes come out."""
    first = pickled_cifar(tmp_path, monkeypatch)
    dataset = load_dataset("cifar10", tmp_path)
    assert dataset.input_shape == (3, 32, 32)
    assert (len(dataset.train), len(dataset.test)) == (60, 12)
    np.testing.assert_array_equal(dataset.train.images[0], first)
    assert dataset.classes[3] == "class3"
    assert dataset.train.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_cifar10_trains_from_the_files_of_its_authors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps on colour images that are cropped and mirrored, and a bundle that takes such."""
    pickled_cifar(tmp_path, monkeypatch)
    plan = TrainingPlan(recipe="gaussian", out=tmp_path / "out", dataset="cifar10", data_root=tmp_path, architecture_arguments={"width": 2},
        epochs=1, batch_size=16, held_out=28, device="cpu", precision="float32",
    )  # fmt: skip
    card = load_bundle(train(plan)).card
    assert card.input_shape == (3, 32, 32)
    assert card.classes[9] == "class9"
    assert [metric.n for metric in card.metrics if metric.metric == "clean_accuracy"] == [12]


def test_a_pickle_with_another_checksum_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle can run code, so only the published files are opened."""
    pickled_cifar(tmp_path, monkeypatch)
    batch = tmp_path / CIFAR10.base_folder / "data_batch_3"
    batch.write_bytes(batch.read_bytes() + b" ")
    with pytest.raises(DatasetError, match="'dataset' cifar10"):
        load_dataset("cifar10", tmp_path)


def jpeg_folders(folder: Path) -> None:
    """ImageNet as torchvision leaves it: meta.bin, and one folder of JPEGs a class; two classes are cranes."""
    classes = {"n01": ("crane", "bird"), "n02": ("crane", "machine"), "n03": ("tench", "Tinca tinca")}
    torch.save((classes, list(classes)), folder / "meta.bin")
    for split, count in (("train", 4), ("val", 2)):
        for place, wnid in enumerate(classes):
            (folder / split / wnid).mkdir(parents=True)
            for number in range(count):
                picture = Image.new("RGB", (300, 280), (place * 100, number * 50, 0))
                picture.save(folder / split / wnid / f"{wnid}_{number}.JPEG")


def test_imagenet_is_read_as_torchvision_unpacks_it(tmp_path: Path) -> None:
    """Test images are 224×224; training images have a margin of 16 for random windows."""
    jpeg_folders(tmp_path)
    dataset = load_dataset("imagenet", tmp_path)
    assert dataset.input_shape == (3, 224, 224)
    assert dataset.classes == ("crane, bird", "crane, machine", "tench")
    assert (dataset.train.images.shape, dataset.train.margin) == ((12, 3, 256, 256), 16)
    assert dataset.train.centred().images.shape == (12, 3, 224, 224)
    one = dataset.test.take(np.array([5, 0]))
    assert one.labels.tolist() == [2, 0]
    decoded = one.images[:]
    assert decoded.shape == (2, 3, 224, 224)
    assert decoded[0, :, 0, 0].tolist() == pytest.approx([200, 50, 0], abs=4)
    assert one.images[1].shape == (3, 224, 224)


def test_imagenet_trains_from_pictures_on_disk(tmp_path: Path) -> None:
    """From folders of JPEGs to a bundle whose clean images are the centres."""
    jpeg_folders(tmp_path)
    plan = TrainingPlan(recipe="gaussian", out=tmp_path / "out", dataset="imagenet", data_root=tmp_path,
        architecture_arguments={"width": 2}, epochs=1, batch_size=4, held_out=4, device="cpu", precision="float32",
    )  # fmt: skip
    bundle = load_bundle(train(plan))
    assert bundle.clean is not None
    assert bundle.clean.shape == (12, 3, 224, 224)
    assert bundle.card.fit is not None
    assert bundle.card.fit.resize == 256


def test_imagenet_has_a_margin_to_crop_from_and_takes_no_border(tmp_path: Path) -> None:
    jpeg_folders(tmp_path)
    plan = TrainingPlan(recipe="gaussian", out=tmp_path / "out", dataset="imagenet", data_root=tmp_path, crop_padding=4,
        architecture_arguments={"width": 2}, epochs=1, batch_size=4, held_out=4, device="cpu",
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r"'crop_padding' must be omitted for imagenet, .* got 4"):
        train(plan)


def unlike_train(folder: Path) -> None:
    (folder / "train" / "n01").rename(folder / "n01")


def stray(folder: Path) -> None:
    (folder / "train" / "n02").rename(folder / "train" / "n99")


def without_pictures(folder: Path) -> None:
    (folder / "val" / "more").mkdir()


def cut_short(folder: Path) -> None:
    meta = folder / "meta.bin"
    meta.write_bytes(meta.read_bytes()[:-50])


def overwritten(folder: Path) -> None:
    (folder / "meta.bin").write_bytes(b"no classes")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (unlike_train, "train and .*val must have the same classes, got 1 in one only: n01"),
        (stray, "every folder in .*train and .*val must be a class of meta.bin, got 'n99'"),
        (without_pictures, "its files must be in .* more"),
        (cut_short, "its files must be in"),
        (overwritten, "meta.bin is damaged"),
    ],
)
def test_imagenet_of_other_folders_than_classes_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    """Each split is numbered by its own folders: were they others, accuracies would be silently wrong."""
    jpeg_folders(tmp_path)
    damage(tmp_path)
    with pytest.raises(DatasetError, match=f"'dataset' imagenet: .*{reason}"):
        load_dataset("imagenet", tmp_path)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    jpeg_folders(tmp_path)
    (tmp_path / "val" / "n02" / "n02_1.JPEG").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"n02_1\.JPEG: 'image' must be an image file"):
        load_dataset("imagenet", tmp_path).test.images[:]


def test_imagenet_cannot_be_downloaded(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'download' must be false for imagenet"):
        load_dataset("imagenet", tmp_path, download=True)


def test_pictures_are_fed_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    """Decoding a batch ahead changes nothing."""
    jpeg_folders(tmp_path)
    train_images = load_dataset("imagenet", tmp_path).train
    order = [torch.tensor([3, 8]), torch.tensor([0, 11]), torch.tensor([5])]
    fed = list(TrainingImages(train_images, torch.device("cpu"), 0).batches(order))
    for batch, indices in zip(fed, order, strict=True):
        np.testing.assert_array_equal(batch.images.numpy(), train_images.images[indices.numpy()])
        assert batch.labels.tolist() == train_images.labels[indices.numpy()].tolist()
