"""The bundles that an evaluation is asked for, by name or folder."""

from collections.abc import Sequence
from pathlib import Path

from models.bundles import bundle_digest, find_bundles, read_card
from models.errors import BundleExistsError


def chosen_bundles(wanted: Sequence[str], more: Sequence[Path]) -> tuple[dict[str, Path], dict[str, str]]:
    """Return folders and digests by name.

    Args:
        wanted: Names of bundles, or folders.
        more: Folders of bundles beside the shipped ones.

    Raises:
        BundleError: A bundle is not there, or broken, or two have one name.
    """
    known = find_bundles(more)
    folders: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for word in wanted:
        folder = known.get(word, Path(word))
        card = read_card(folder)
        if card.name in folders and folders[card.name] != folder:
            raise BundleExistsError(f"'bundle' must be each of another name, got '{card.name}' twice")
        folders[card.name], digests[card.name] = folder, bundle_digest(card)
    return folders, digests
