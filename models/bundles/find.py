"""Where bundles lie."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.bundles.errors import BundleExistsError, BundleNotFoundError
from models.bundles.read import CARD, read_card

ZOO = Path(__file__).resolve().parents[1] / "zoo"


def find_bundles(paths: Sequence[Path] = ()) -> dict[str, Path]:
    """Map the names of all bundles, the shipped ones first, to their folders.

    Args:
        paths: further places, each a bundle or a folder of bundles.

    Raises:
        BundleNotFoundError: if a place is not a folder.
        BundleExistsError: if two bundles have the same name.
        CardError: if a card breaks a rule.
    """
    found: dict[str, Path] = {}
    for place in [ZOO, *paths]:
        for folder in _bundles_in(place):
            name = read_card(folder).name
            if found.setdefault(name, folder).resolve() != folder.resolve():
                raise BundleExistsError(
                    f"'name' must be one bundle's, got {name} in {found[name]} and {folder}"
                )
    return found


def _bundles_in(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        raise BundleNotFoundError(f"a place of bundles must be a folder, got {place}")
    if (place / CARD).is_file():
        yield place
        return
    for folder in sorted(place.iterdir()):
        if (folder / CARD).is_file() and not folder.name.startswith("."):
            yield folder
