"""Errors of this package. Each names the field, the rule and the value.

::

    ModelsError
    ├── BundleError               a bundle cannot be read or written
    │   ├── BundleNotFoundError   no such folder, or a file that the card names is missing
    │   ├── CardError             card.json is not a card
    │   ├── DigestError           a file is not the one the card was written for
    │   ├── ModuleError           the network cannot be built, or does not give one logit per class
    │   ├── WeightsError          the weights do not fit the network
    │   ├── CleanSetError         the clean set does not fit the card
    │   └── BundleExistsError     a bundle of this name, or in this folder, is already there
    ├── BackendError              a classifier cannot be executed as asked
    ├── ImageError                a file is no picture, or not one that the classifier takes
    ├── DatasetError              a data set's files are missing, damaged, or not what they should be
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
    """A file's sha256 is not the one in the card."""


class ModuleError(BundleError):
    """The network cannot be built, or does not give one finite logit per class."""


class WeightsError(BundleError):
    """The weights cannot be read, or do not fit the network."""


class CleanSetError(BundleError):
    """The clean set cannot be read, or does not fit the card."""


class BundleExistsError(BundleError):
    """A bundle is already there."""


class BackendError(ModelsError):
    """A classifier cannot be executed as asked."""


class ImageError(ModelsError):
    """A file is not a picture, or not one that the classifier takes."""


class DatasetError(ModelsError):
    """A data set's files are missing, damaged, or not what they should be."""


class TrainingError(ModelsError):
    """A plan is impossible, or a checkpoint does not belong to it."""


def faults(error: ValidationError, whole: str) -> str:
    """Return in one line which fields break which rules, and with what values.

    Args:
        error: What pydantic found.
        whole: What to call it where a rule is about no single field.
    """
    lines = []
    for fault in error.errors(include_url=False):
        if fault["type"] == "value_error":  # a rule of the model's own, whose message names field and value
            lines.append(str(fault["ctx"]["error"]))
        else:
            field = ".".join(map(str, fault["loc"])) or whole
            lines.append(f"'{field}' {fault['msg']}, got {str(fault['input'])[:80]}")
    return "; ".join(lines)
