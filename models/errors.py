"""Errors of this package. Each names the field, the rule and the value.

::

    ModelsError
    ├── BundleError               a bundle cannot be read or written
    │   ├── BundleNotFoundError   no such folder, or a file that the card names is missing
    │   ├── CardError             card.json is not a card
    │   ├── DigestError           a file has another SHA-256 than the card states
    │   ├── ModuleError           the network cannot be built, or does not return one logit per class
    │   ├── WeightsError          the weights do not fit the network
    │   ├── CleanSetError         the clean set does not fit the card
    │   └── BundleExistsError     a bundle of this name, or in this folder, is already there
    ├── BackendError              a classifier cannot be executed as requested
    ├── ImageError                a file is not an image, or not one that the classifier takes
    ├── DatasetError              the files of a data set are missing, damaged or of another kind
    └── TrainingError             a plan is impossible, or a checkpoint does not belong to it
"""

from pydantic import ValidationError


class ModelsError(ValueError):
    """The root of all errors of this package."""


class BundleError(ModelsError):
    """A bundle cannot be read or written."""


class BundleNotFoundError(BundleError):
    """The folder, or a file that the card names, is missing."""


class CardError(BundleError):
    """``card.json`` is not a valid card."""


class DigestError(BundleError):
    """The SHA-256 of a file is not the one in the card."""


class ModuleError(BundleError):
    """The network cannot be built, or does not return one finite logit per class."""


class WeightsError(BundleError):
    """The weights cannot be read, or do not fit the network."""


class CleanSetError(BundleError):
    """The clean set cannot be read, or does not fit the card."""


class BundleExistsError(BundleError):
    """A bundle of this name or in this folder exists already."""


class BackendError(ModelsError):
    """A classifier cannot be executed as requested."""


class ImageError(ModelsError):
    """A file is not an image, or not one that the classifier takes."""


class DatasetError(ModelsError):
    """The files of a data set are missing, damaged or of another kind."""


class TrainingError(ModelsError):
    """A plan is impossible, or a checkpoint does not belong to it."""


def faults(error: ValidationError, whole: str) -> str:
    """Return in one line which fields break which rules, and their values.

    Args:
        error: What pydantic found.
        whole: Name for rules that are about no single field.
    """
    lines = []
    for fault in error.errors(include_url=False):
        if fault["type"] == "value_error":  # a rule of our own, whose message names field and value
            lines.append(str(fault["ctx"]["error"]))
        else:
            field = ".".join(map(str, fault["loc"])) or whole
            lines.append(f"'{field}' {fault['msg']}, got {str(fault['input'])[:80]}")
    return "; ".join(lines)
