"""A small store of keys and values in the node, for what processes of a session leave for each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async.transport.frames import decode_bytes, encode_bytes

if TYPE_CHECKING:
    from ray_async.runtime.node.requests.messages import Answer, Answers, Message
    from ray_async.transport.server import Peer

__all__ = ("KeyValues",)


class KeyValues:
    """Values by namespace and key, all bytes; they end with the node.

    Args:
        limit: bytes that keys and values together may take.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self._limit = limit
        self._size = 0
        self._values: dict[bytes, dict[bytes, bytes]] = {}
        self.by_operation: dict[str, Callable[[dict[str, Any]], Any]] = {
            "kv_get": self.get,
            "kv_put": self.put,
            "kv_exists": self.exists,
            "kv_del": self.remove,
            "kv_keys": self.keys,
        }

    def answers(self, elsewhere: Callable[[str, Message], Answer | None]) -> Answers:
        """Answers to a node's processes.

        Args:
            elsewhere: answers where keys and values are others' to keep; None where they are kept here.
        """

        def answer(op: str) -> Callable[[Peer, Message], Answer]:
            return lambda peer, m: elsewhere(op, m) or {"value": self.by_operation[op](m)}

        found: Answers = {
            "kv_get": answer("kv_get"),
            "kv_put": answer("kv_put"),
            "kv_exists": answer("kv_exists"),
            "kv_del": answer("kv_del"),
            "kv_keys": answer("kv_keys"),
        }
        return found

    def put(self, message: dict[str, Any]) -> bool:
        """Set a key's value, unless it has one and may not be overwritten; return whether the key was there.

        Raises:
            RuntimeError: the limit is reached.
        """
        space = self._values.setdefault(decode_bytes(message["namespace"]), {})
        key, value = decode_bytes(message["key"]), decode_bytes(message["value"])
        old = space.get(key)
        if old is not None and not message["overwrite"]:
            return True
        added = len(value) - len(old) if old is not None else len(key) + len(value)
        if self._size + added > self._limit:
            raise RuntimeError(f"keys and values take {self._size} bytes, and may take {self._limit}")
        space[key] = value
        self._size += added
        return old is not None

    def get(self, message: dict[str, Any]) -> str | None:
        """Give a key's value as base64; None when there is none."""
        value = self._space(message).get(decode_bytes(message["key"]))
        return encode_bytes(value) if value is not None else None

    def exists(self, message: dict[str, Any]) -> bool:
        """Say whether a key has a value."""
        return decode_bytes(message["key"]) in self._space(message)

    def remove(self, message: dict[str, Any]) -> int:
        """Remove a key, or all keys that begin with it; return how many there were."""
        space, key = self._space(message), decode_bytes(message["key"])
        keys = [k for k in space if k.startswith(key)] if message["by_prefix"] else [k for k in (key,) if k in space]
        for found in keys:
            self._size -= len(found) + len(space.pop(found))
        if not space:
            self._values.pop(decode_bytes(message["namespace"]), None)
        return len(keys)

    def keys(self, message: dict[str, Any]) -> list[str]:
        """List the keys that begin with a prefix, each as base64."""
        prefix = decode_bytes(message["key"])
        return [encode_bytes(key) for key in self._space(message) if key.startswith(prefix)]

    def _space(self, message: dict[str, Any]) -> dict[bytes, bytes]:
        return self._values.get(decode_bytes(message["namespace"]), {})
