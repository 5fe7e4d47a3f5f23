"""Data sets, from idx files as they are found on disk."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from models.data import DATASETS, DatasetError, LabelledImages, load_dataset
from models.data.fashion_mnist import DEBIAN_FOLDER
from models.data.idx import read_idx
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
        (b"", "at least 4 bytes"),
        (b"\x00\x00\x0d\x03" + bytes(12), "magic must be 0x000008"),
        (b"PNG!" + bytes(12), "magic must be 0x000008"),
        (idx_bytes(VALUES[0]), "must have 3 dimensions, got 2"),
        (idx_bytes(VALUES)[:9], "header must have 16 bytes, got 9"),
        (idx_bytes(VALUES)[:-1], "needs 24 bytes of data, got 23"),
        (idx_bytes(VALUES) + b"x", "needs 24 bytes of data, got 25"),
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
