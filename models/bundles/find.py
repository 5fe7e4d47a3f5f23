"""Finds bundles in folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundles.read import CARD, read_card
from models.errors import BundleError, BundleExistsError, BundleNotFoundError

ZOO = Path(__file__).resolve().parents[1] / "zoo"


@dataclass(frozen=True)
class FoundBundles:
    """The bundles found in some folders.

    Attributes:
        folders: the folder of each bundle, by name.
        faults: the error of each folder whose card cannot be read, or whose name another bundle has already.
    """

    folders: dict[str, Path]
    faults: dict[Path, BundleError]


def find_bundles(paths: Sequence[Path] = ()) -> dict[str, Path]:
    """Return the folders of all bundles by name, the shipped ones first.

    Args:
        paths: more folders, each a bundle or a folder of bundles.

    Raises:
        BundleNotFoundError: if a path is not a folder.
        BundleExistsError: if two bundles have the same name.
        CardError: if a card breaks a rule.
    """
    found = look_for_bundles(paths)
    for fault in found.faults.values():
        raise fault
    return found.folders


def look_for_bundles(paths: Sequence[Path] = ()) -> FoundBundles:
    """As `find_bundles`, but collect the errors of faulty folders and return the other bundles.

    Of two bundles of one name, the first one found counts; shipped bundles come first.

    Raises:
        BundleNotFoundError: if a path is not a folder.
    """
    folders: dict[str, Path] = {}
    faults: dict[Path, BundleError] = {}
    for place in [ZOO, *paths]:
        for folder in _bundles_in(place):
            try:
                name = read_card(folder).name
            except BundleError as error:
                faults[folder] = error
                continue
            if folders.setdefault(name, folder).resolve() != folder.resolve():
                faults[folder] = BundleExistsError(
                    f"'name' must be unique, got {name} in {folders[name]} and {folder}"
                )
    return FoundBundles(folders, faults)


def _bundles_in(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        raise BundleNotFoundError(f"the path of bundles must be a folder, got {place}")
    if (place / CARD).is_file():
        yield place
        return
    for folder in sorted(place.iterdir()):  # a name with a dot is a draft of `write_bundle`
        if (folder / CARD).is_file() and not folder.name.startswith("."):
            yield folder
