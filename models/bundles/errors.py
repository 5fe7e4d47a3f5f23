"""Why a bundle is refused.

BundleError
├── BundleNotFoundError   no such folder, or a file that the card names is missing
├── CardError             card.json is not a card
├── DigestError           a file is not the one the card was written for
├── ModuleError           the network cannot be built, or does not give one logit per class
├── WeightsError          the weights do not fit the network
├── CleanSetError         the clean set does not fit the card
└── BundleExistsError     a bundle of this name, or in this folder, is already there
"""


class BundleError(ValueError):
    """A bundle cannot be read or written."""


class BundleNotFoundError(BundleError):
    """The folder, or a file that the card names, is missing."""


class CardError(BundleError):
    """``card.json`` is not a valid card."""


class DigestError(BundleError):
    """A file's sha256 is not the one in the card."""


class ModuleError(BundleError):
    """The network cannot be built, or does not give one finite logit per class."""


class WeightsError(BundleError):
    """The weights cannot be read, or do not fit the network."""


class CleanSetError(BundleError):
    """The clean set cannot be read, or does not fit the card."""


class BundleExistsError(BundleError):
    """A bundle is already there."""
