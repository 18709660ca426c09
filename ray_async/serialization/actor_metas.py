"""Metas of actors' classes on their way between processes: pickled once, shared where they arrive."""

from __future__ import annotations

import pickle
from weakref import WeakValueDictionary

from ray_async.serialization.pickling import dumps
from ray_async.spec.descriptors import ActorMeta

__all__ = ("pack", "unpack")

_arrived: WeakValueDictionary[bytes, ActorMeta] = WeakValueDictionary()  # by their pickles


def pack(meta: ActorMeta) -> bytes:
    """The pickle of a class's description, the same for all handles."""
    if meta.pickled is None:
        meta.pickled = dumps(meta)
    return meta.pickled


def unpack(pickled: bytes) -> ActorMeta:
    """The description behind a pickle; handles of one class share it."""
    meta = _arrived.get(pickled)
    if meta is None:
        meta = pickle.loads(pickled)
        meta.pickled = pickled
        _arrived[pickled] = meta
    return meta
