"""Definitions that tasks and actors run, exported once per content to the object store."""

from __future__ import annotations

import hashlib
import logging
import pickle
import weakref
from typing import Any

from ray_async._core import store
from ray_async.config import FUNCTION_SIZE_ERROR_BYTES, FUNCTION_SIZE_WARN_BYTES

__all__ = ("Exports",)

_logger = logging.getLogger("ray_async")
_KINDS = {"function": "remote function", "class": "actor"}


class Exports:
    """The definitions that this process has exported.

    Args:
        session: whose store and serializers are used.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._refs: dict[bytes, Any] = {}
        self._pickled: weakref.WeakKeyDictionary[Any, bytes] = weakref.WeakKeyDictionary()

    def export(self, facts: dict[str, Any], target: Any = None, descriptor: Any = None) -> Any:
        """Store a definition, unless the same one was stored before; returns its reference.

        Args:
            facts: what workers must know of it.
            target: the function or class; pickled by value where it cannot be imported.
            descriptor: of the target, if what was pickled for it before will do.

        Raises:
            TypeError: it cannot be pickled.
            ValueError: it is larger than ``function_size_error_threshold``, as with a large array captured from its
                surroundings.
        """
        if target is not None:
            data = self._pickle(target, descriptor)
            self._check_size(_KINDS[facts["kind"]], facts["name"].removesuffix(".__init__"), len(data))
            facts = {**facts, "target": data}
        # The name stands before the pickle, for the node, which unpickles nothing.
        payload = facts["name"].encode() + b"\n" + pickle.dumps(facts, protocol=5)
        key = hashlib.blake2b(payload, digest_size=16).digest()
        ref = self._refs.get(key)
        if ref is None:
            ref = self._refs[key] = store.put_raw(self._session.arena, payload)
        return ref

    def _pickle(self, target: Any, descriptor: Any) -> bytes:
        data = self._pickled.get(descriptor) if descriptor is not None else None
        if data is None:
            data = bytes(self._session.dumps(target))
            if descriptor is not None:
                self._pickled[descriptor] = data
        return data

    def clear(self) -> None:
        """Drop the references."""
        self._refs.clear()
        self._pickled.clear()

    def _check_size(self, kind: str, name: str, size: int) -> None:
        limit = self._session.settings.get(FUNCTION_SIZE_ERROR_BYTES)
        if size > limit:
            raise ValueError(
                f"The {kind} {name} is too large ({size / 1e6:.0f} MB pickled; at most {limit / 1e6:.0f} MB): it "
                "captures a large value from its surroundings. Put that value with ray.put() and pass the reference."
            )
        if size > self._session.settings.get(FUNCTION_SIZE_WARN_BYTES):
            _logger.warning(
                "%s is very large (%.0f MB pickled): check that it captures no large value; use ray.put() for one.",
                name,
                size / 1e6,
            )
