"""Names that programs compare with what Ray's control plane reports: kinds of messages, spaces of keys."""

from __future__ import annotations

__all__ = ("DETACHED_ACTOR_ANONYMOUS_NAMESPACE_ERROR", "KV_NAMESPACE_FUNCTION_TABLE")

DETACHED_ACTOR_ANONYMOUS_NAMESPACE_ERROR = "detached_actor_anonymous_namespace"
KV_NAMESPACE_FUNCTION_TABLE = b"fun"
