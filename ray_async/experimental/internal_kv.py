"""Keys and values in the node, by the names that libraries for Ray use.

All processes of a session see the same keys; values live as long as the node. Text stands for its UTF-8 bytes.
"""

from __future__ import annotations

from ray_async.engine.current import get_session, has_session

__all__ = (
    "_internal_kv_del",
    "_internal_kv_exists",
    "_internal_kv_get",
    "_internal_kv_initialized",
    "_internal_kv_list",
    "_internal_kv_put",
)

Text = str | bytes


def _internal_kv_initialized() -> bool:
    """Say whether this process is connected to a node."""
    return has_session()


def _internal_kv_get(key: Text, *, namespace: Text | None = None) -> bytes | None:
    """Give a key's value; None when it has none.

    Args:
        key: Text or bytes.
        namespace: Keys of one namespace are not seen in others.

    Example:
        >>> _internal_kv_put("colour", "red")
        False
        >>> _internal_kv_get("colour")
        b'red'
    """
    return get_session().key_values.get(_bytes(key), _bytes(namespace or b""))


def _internal_kv_exists(key: Text, *, namespace: Text | None = None) -> bool:
    """Say whether a key has a value."""
    return get_session().key_values.exists(_bytes(key), _bytes(namespace or b""))


def _internal_kv_put(key: Text, value: Text, overwrite: bool = True, *, namespace: Text | None = None) -> bool:
    """Set a key's value; return whether the key had one before.

    Args:
        key: Text or bytes.
        value: Text or bytes.
        overwrite: False leaves a value that is there.
        namespace: Keys of one namespace are not seen in others.

    Raises:
        RuntimeError: The node keeps no more.
    """
    return get_session().key_values.put(_bytes(key), _bytes(value), _bytes(namespace or b""), overwrite)


def _internal_kv_del(key: Text, *, del_by_prefix: bool = False, namespace: Text | None = None) -> int:
    """Remove a key, or all keys that begin with it; return how many there were."""
    return get_session().key_values.remove(_bytes(key), _bytes(namespace or b""), del_by_prefix)


def _internal_kv_list(prefix: Text, *, namespace: Text | None = None) -> list[bytes]:
    """List the keys that begin with a prefix."""
    return get_session().key_values.keys(_bytes(prefix), _bytes(namespace or b""))


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
