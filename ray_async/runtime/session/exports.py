"""Definitions that tasks and actors run, exported once per content to the object store."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from ray_async._core import store
from ray_async.config import FUNCTION_SIZE_ERROR_BYTES, FUNCTION_SIZE_WARN_BYTES
from ray_async.spec.definition_export import DefinitionExport, DefinitionKind

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef
    from ray_async.runtime.session.core_session import CoreSession

__all__ = ("Export", "Exports")

_logger = logging.getLogger("ray_async")
_KINDS = {DefinitionKind.FUNCTION: "remote function", DefinitionKind.CLASS: "actor"}
_RECENT_EXPORTS = 64  # exports that are kept a while longer than what uses them: the next call may want the same


class Export:
    """A definition in the store. It lasts for as long as a caller has this, and a call of it exists.

    Attributes:
        ref: the definition's reference.
    """

    __slots__ = ("__weakref__", "ref")

    def __init__(self, ref: ObjectRef[bytes]) -> None:
        self.ref = ref


class Exports:
    """The definitions that this process has exported.

    Args:
        session: whose store and serializers are used.
    """

    def __init__(self, session: CoreSession) -> None:
        self._session = session
        self._used: WeakValueDictionary[bytes, Export] = WeakValueDictionary()
        self._recent: deque[Export] = deque(maxlen=_RECENT_EXPORTS)
        self._pickled: WeakKeyDictionary[object, bytes] = WeakKeyDictionary()

    def export(self, definition: DefinitionExport, target: object = None, descriptor: object = None) -> Export:
        """Store a definition, unless the same one is stored already.

        Args:
            definition: what workers must know of it.
            target: the function or class; pickled by value where it cannot be imported.
            descriptor: of the target, if what was pickled for it before will do.

        Raises:
            TypeError: it cannot be pickled.
            ValueError: it is larger than ``function_size_error_threshold``, as with a large array captured from its
                surroundings.
        """
        if target is not None:
            data = self._pickle(target, descriptor)
            self._check_size(_KINDS[definition.kind], definition.name.removesuffix(".__init__"), len(data))
            definition = definition._replace(target=data)
        payload = definition.encode()
        key = hashlib.blake2b(payload, digest_size=16).digest()
        found = self._used.get(key)
        if found is None:
            found = self._used[key] = Export(store.put_raw(self._session.arena, payload))
        if not self._recent or self._recent[-1] is not found:
            self._recent.append(found)
        return found

    def _pickle(self, target: object, descriptor: object) -> bytes:
        data = self._pickled.get(descriptor) if descriptor is not None else None
        if data is None:
            data = self._session.dumps(target)
            if descriptor is not None:
                self._pickled[descriptor] = data
        return data

    def clear(self) -> None:
        """Drop the references."""
        self._recent.clear()
        self._used.clear()
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
