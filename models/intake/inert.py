"""An unpickler that makes tensors and plain values, and imports, calls and changes nothing else.

A pickle is a program: it names globals, calls them, and sets the state and the items of what it has. All that
it can work with is what ``find_class`` gives it. Here these are the few builders below, which a pickle cannot
change, and for every other name a stand-in that takes whatever is done to it and does nothing.

Reference: Lib/pickle.py of Python for what a program can do, torch/_utils.py for the builders' arguments.
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
    """What becomes of a state, or of items, that a pickle gives to an object of unknown code."""


class _Inert(type):
    __setitem__ = _nothing

    def __call__(cls, *_: object, **__: object) -> Any:
        return cls


class UNKNOWN(metaclass=_Inert):
    """Stands for every class, function and object of unknown code; called or made, it is itself again.

    It is a class, since a pickle may also make instances of what a call has returned.
    """

    def __new__(cls, *_: object, **__: object) -> Any:
        """Return the class itself."""
        return cls

    __setstate__ = append = extend = add = staticmethod(_nothing)


class _Dict(dict[Any, Any]):
    """Stands for ``OrderedDict``, without the attributes that a pickle could set on one."""

    __slots__ = ()

    def __setstate__(self, *_: object) -> None:
        """Drops the versions of layers that a state dict carries."""


class _BuildTensor:
    __slots__ = ()  # a function would have attributes, which a pickle could set

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
        # Neither complex storages nor metadata, by which numbers are negated or conjugated, occur in weights.
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
    """Reads one pickle of ``torch.save``, of whatever it was made.

    Args:
        file: where the pickle starts.
        storage: gives the flat tensor of a data type, a storage's key and its number of elements.
        unknown: gets the names for which ``UNKNOWN`` stands, as keys.
    """

    def __init__(
        self, file: io.BufferedReader | io.BytesIO, storage: _Storage, unknown: dict[str, None]
    ) -> None:
        super().__init__(file, encoding="latin1")  # takes any bytes of Python 2
        self._storage = storage
        self._unknown = unknown

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a builder or ``UNKNOWN``, by comparing names and never by importing them."""
        if module in ("torch", "torch.cuda") and name in _DTYPES:
            return name
        if (module, name) in _BUILDERS:
            return _BUILDERS[module, name]
        self._unknown[f"{module}.{name}"] = None
        return UNKNOWN

    def persistent_load(self, pid: Any) -> Any:
        """Return a storage; other kinds, such as the source of a module, are unknown objects."""
        match pid:
            case ("storage", str(kind), str(key), _, int(numel), *view) if view in ([], [None]):
                return self._storage(_DTYPES[kind], key, numel)
        return UNKNOWN
