"""Certified image classifiers, as a service and as a library.

The library, each name loaded when it is first used, so that ``import radii`` needs no PyTorch::

    SmoothedClassifier   a base classifier with its noise: certify, predict, adapt
    Gaussian, Uniform    the noises: ℓ2 radii, ℓ1 radii
    certify              the algorithm itself, with every argument
    Client, ClientError  asks a running service; the root of its errors
    Progress             what `Client.stream` yields until the certificate comes

The rest of this package is the command line and ``serve``. No other package imports it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.jobs import Progress
    from radii.client import Client
    from radii.errors import ClientError
    from smoothing import Gaussian, SmoothedClassifier, Uniform, certify

__all__ = ["Client", "ClientError", "Gaussian", "Progress", "SmoothedClassifier", "Uniform", "certify"]


_HOMES = {"Client": "radii.client", "ClientError": "radii.errors", "Progress": "contract.jobs"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "smoothing")), name)
    raise AttributeError(f"module 'radii' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
