"""Values that were pickled in another session, as this session stores them: what readers load them by.

The pickle and its buffers stay as they came. References inside mean nothing here by themselves: each stands for one of
this session, which the store pins and counts like any other.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

from ray_async._core.codec import ArgRef
from ray_async._core.object_ref import ObjectRef
from ray_async._core.submission import actor_core

__all__ = ("ForeignValue",)

#: Offset and number of an object in the session where the value was pickled.
Key = tuple[int, int]
_LOADERS = {
    ("ray_async._core.object_ref", "load_ref"),
    ("ray_async._core.codec", "load_argument"),
    ("ray_async._core.submission", "load_actor"),
}


class ForeignValue:
    """Pickles as the value that it stands for.

    Args:
        stream: the pickle.
        buffers: its buffers out of band.
        keys: what the references inside are called there.
        refs: the reference of this session for each key; an `ArgRef` for one that is an argument itself.
    """

    __slots__ = ("_buffers", "_keys", "_refs", "_stream")

    def __init__(self, stream: Any, buffers: Sequence[Any], keys: Sequence[Key], refs: Sequence[Any]) -> None:
        self._stream = stream
        self._buffers = buffers
        self._keys = keys
        self._refs = refs

    def __reduce__(self) -> tuple[Any, ...]:
        buffers = [pickle.PickleBuffer(buffer) for buffer in self._buffers]
        return load_foreign, (pickle.PickleBuffer(self._stream), buffers, list(self._keys), list(self._refs))


def load_foreign(stream: Any, buffers: Sequence[Any], keys: Sequence[Key], refs: Sequence[Any]) -> Any:
    """Load what a `ForeignValue` stands for."""
    if not keys:
        return pickle.loads(stream, buffers=buffers)
    return _Loader(stream, buffers, dict(zip(keys, refs, strict=True))).load()


class _Loader(pickle.Unpickler):
    """Loads a pickle in which the references of another session are exchanged for this one's."""

    def __init__(self, stream: Any, buffers: Sequence[Any], refs: dict[Key, Any]) -> None:
        super().__init__(io.BytesIO(stream), buffers=buffers)
        self._refs = refs

    def find_class(self, module: str, name: str) -> Any:
        """The function that rebuilds a reference, or whatever else the pickle names."""
        if (module, name) not in _LOADERS:
            return super().find_class(module, name)
        return {"load_ref": self._ref, "load_argument": self._argument, "load_actor": self._actor}[name]

    def _argument(self, entry: int, number: int, session: bytes) -> Any:
        found = self._refs[entry, number]
        return found if type(found) is ArgRef else ArgRef(found)

    def _ref(self, entry: int, number: int, session: bytes) -> ObjectRef[Any]:
        found = self._refs[entry, number]
        return found.ref if type(found) is ArgRef else found

    def _actor(self, entry: int, number: int, session: bytes) -> Any:
        return actor_core(self._ref(entry, number, session))
