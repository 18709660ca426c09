"""Keys and values in the node, asked for over the control connection, where bytes travel as base64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async.transport.frames import decode_bytes, encode_bytes

__all__ = ("NodeKeyValues",)


class NodeKeyValues:
    """The node's keys and values.

    Args:
        ask: sends a request and gives its answer.
    """

    def __init__(self, ask: Callable[..., dict[str, Any]]) -> None:
        self._send = ask

    def _ask(self, op: str, key: bytes, namespace: bytes, **fields: Any) -> Any:
        return self._send(op, key=encode_bytes(key), namespace=encode_bytes(namespace), **fields)["value"]

    def get(self, key: bytes, namespace: bytes) -> bytes | None:
        """Give a key's value; None when it has none."""
        value = self._ask("kv_get", key, namespace)
        return decode_bytes(value) if value is not None else None

    def exists(self, key: bytes, namespace: bytes) -> bool:
        """Say whether a key has a value."""
        return bool(self._ask("kv_exists", key, namespace))

    def put(self, key: bytes, value: bytes, namespace: bytes, overwrite: bool) -> bool:
        """Set a key's value, unless it has one that may not be overwritten; return whether it had one."""
        return bool(self._ask("kv_put", key, namespace, value=encode_bytes(value), overwrite=overwrite))

    def remove(self, key: bytes, namespace: bytes, by_prefix: bool) -> int:
        """Remove a key, or all keys that begin with it; return how many there were."""
        return int(self._ask("kv_del", key, namespace, by_prefix=by_prefix))

    def keys(self, prefix: bytes, namespace: bytes) -> list[bytes]:
        """List the keys that begin with a prefix."""
        return [decode_bytes(key) for key in self._ask("kv_keys", prefix, namespace)]
