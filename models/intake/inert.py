"""An unpickler for untrusted files: it makes tensors and plain values, and imports and calls nothing else.

A pickle is a program. It names globals, calls them, and sets state and items of its objects. It reaches only
what ``find_class`` returns. Here that is one of the few builders below, which a pickle cannot change, or for
any other name a stand-in that accepts every operation and does nothing.

Reference: Lib/pickle.py of Python for the operations of a pickle, torch/_utils.py for the builders'
arguments.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

_DTYPES: Final[Mapping[str, torch.dtype]] = MappingProxyType(
    {
        "DoubleStorage": torch.float64,
        "FloatStorage": torch.float32,
        "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16,
        "LongStorage": torch.int64,
        "IntStorage": torch.int32,
        "ShortStorage": torch.int16,
        "CharStorage": torch.int8,
        "ByteStorage": torch.uint8,
        "BoolStorage": torch.bool,
    }
)
_Storage = Callable[[torch.dtype, str, int], Tensor]


def _nothing(*_: object) -> None:
    """Ignore the state or items that a pickle sets on an object of unknown code."""


class _Inert(type):
    __setitem__ = _nothing

    def __call__(cls, *_: object, **__: object) -> Any:
        return cls


class UNKNOWN(metaclass=_Inert):
    """Stand-in for every class, function and object of unknown code. Calling it returns the class itself.

    It is a class because a pickle may also make instances of the result of a call.
    """

    def __new__(cls, *_: object, **__: object) -> Any:
        """Return the class itself."""
        return cls

    __setstate__ = append = extend = add = staticmethod(_nothing)


class _Dict(dict[Any, Any]):
    """Stand-in for ``OrderedDict``, without the attributes that a pickle could set."""

    __slots__ = ()

    def __setstate__(self, *_: object) -> None:
        """Drop the layer versions in a state dict."""


class _BuildTensor:
    __slots__ = ()  # not a function: a pickle could set the attributes of one

    def __call__(
        self,
        storage: object,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        _requires_grad: bool = False,
        _hooks: object = None,
        metadata: object = None,
    ) -> Any:
        # Metadata marks negated or conjugated numbers. Weights have none, nor complex storages.
        if metadata or not isinstance(storage, Tensor):
            return UNKNOWN
        return torch.as_strided(storage, size, stride, offset)


class _BuildParameter:
    __slots__ = ()

    def __call__(self, tensor: object, *_: object) -> object:
        return tensor


_BUILDERS: Final[Mapping[tuple[str, str], object]] = MappingProxyType(
    {
        ("collections", "OrderedDict"): _Dict,
        ("torch._utils", "_rebuild_tensor"): _BuildTensor(),
        ("torch._utils", "_rebuild_tensor_v2"): _BuildTensor(),
        ("torch._utils", "_rebuild_parameter"): _BuildParameter(),
    }
)


class InertUnpickler(pickle.Unpickler):
    """Reads one pickle that ``torch.save`` wrote.

    Args:
        file: the file, positioned at the pickle.
        storage: returns the flat tensor for a data type, a storage's key and its number of elements.
        unknown: gets the names of the objects replaced by ``UNKNOWN``, as keys.
    """

    def __init__(
        self, file: io.BufferedReader | io.BytesIO, storage: _Storage, unknown: dict[str, None]
    ) -> None:
        super().__init__(file, encoding="latin1")  # accepts any bytes that Python 2 pickled
        self._storage = storage
        self._unknown = unknown

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a builder or ``UNKNOWN``. Names are only compared, never imported."""
        if module in ("torch", "torch.cuda") and name in _DTYPES:
            return name
        if (module, name) in _BUILDERS:
            return _BUILDERS[module, name]
        self._unknown[f"{module}.{name}"] = None
        return UNKNOWN

    def persistent_load(self, pid: Any) -> Any:
        """Return a storage; any other kind, such as the source of a module, is an unknown object."""
        match pid:
            case ("storage", str(kind), str(key), _, int(numel), *view) if view in ([], [None]):
                return self._storage(_DTYPES[kind], key, numel)
        return UNKNOWN
