"""Reducers: how values of known libraries become pickles whose memory stays out of band.

The core's pickler asks `reduce_value` for each object that pickle does not know by itself. A reducer returns what a
`__reduce__` would, or NotImplemented: then the type's own way is taken. Each is imported when the first value of its
type is met, so no library is imported for a value that does not come from it.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ("reduce_value",)

Reducer = Callable[[Any], Any]

# Name of a class, the modules that may have it, where its reducer is. Subclasses go the same way.
_HOMES = {
    "array": (("array",), "memory.reduce_machine_array"),
    "memoryview": (("builtins",), "memory.reduce_memoryview"),
    "ndarray": (("numpy",), "arrays.reduce_ndarray"),
    "MaskedArray": (("numpy.ma",), "masked_arrays.reduce_masked"),
    "Array": (("pyarrow.lib",), "arrow.reduce_arrow_array"),
    "DataFrame": (("polars",), "polars_frames.reduce_frame"),
    "Series": (("polars",), "polars_frames.reduce_series"),
    "LazyFrame": (("polars",), "polars_frames.reduce_lazy_frame"),
    "Tensor": (("torch",), "tensors.reduce_tensor"),
    "FakeArray": (("ray_async.gpu.fake.array",), "device_arrays.reduce_fake"),
}
_HEAP = 1 << 9  # the flag of classes that are made at run time; others are part of a module's code
# Classes of modules stay; those that programs make come and go.
_lasting: dict[type, Reducer | None] = {}
_passing: WeakKeyDictionary[type, Reducer | None] = WeakKeyDictionary()


def reduce_value(obj: Any, kind: type) -> Any:
    """The `__reduce__` value of an object of a known type, else NotImplemented."""
    try:
        reducer = _lasting[kind]
    except KeyError:
        reducer = _find(kind)
    return NotImplemented if reducer is None else reducer(obj)


def _find(kind: type) -> Reducer | None:
    if kind in _passing:
        return _passing[kind]
    reducer = None
    if kind not in copyreg.dispatch_table:
        found = (_home(base) for base in kind.__mro__)
        reducer = next((home for home in found if home is not None), None)
    known = _lasting if _is_lasting(kind) else _passing
    known[kind] = reducer
    return reducer


def _home(base: type) -> Reducer | None:
    modules, place = _HOMES.get(base.__name__, ((), ""))
    if not any(getattr(sys.modules.get(module), base.__name__, None) is base for module in modules):
        return None
    module, name = place.split(".")
    reducer: Reducer = getattr(import_module(f"{__name__}.{module}"), name)
    return reducer


def _is_lasting(kind: type) -> bool:
    if not kind.__flags__ & _HEAP:
        return True
    return kind.__module__ != "__main__" and getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind
