"""Keys and values that the processes of a session leave for each other."""

from __future__ import annotations

from typing import Protocol

__all__ = ("KeyValueStore",)


class KeyValueStore(Protocol):
    """Values by key and namespace, all bytes; they end with the session's node."""

    def get(self, key: bytes, namespace: bytes) -> bytes | None:
        """Give a key's value; None when it has none."""

    def exists(self, key: bytes, namespace: bytes) -> bool:
        """Say whether a key has a value."""
        ...

    def put(self, key: bytes, value: bytes, namespace: bytes, overwrite: bool) -> bool:
        """Set a key's value, unless it has one that may not be overwritten; return whether it had one.

        Raises:
            RuntimeError: No more is kept.
        """
        ...

    def remove(self, key: bytes, namespace: bytes, by_prefix: bool) -> int:
        """Remove a key, or all keys that begin with it; return how many there were."""
        ...

    def keys(self, prefix: bytes, namespace: bytes) -> list[bytes]:
        """List the keys that begin with a prefix."""
        ...
