"""Names that programs compare with what Ray's control plane reports: kinds of messages, spaces of keys, variables."""

from __future__ import annotations

__all__ = (
    "DEBUG_AUTOSCALING_ERROR",
    "DEBUG_AUTOSCALING_STATUS",
    "DEFAULT_RESOURCES",
    "DETACHED_ACTOR_ANONYMOUS_NAMESPACE_ERROR",
    "KV_NAMESPACE_FUNCTION_TABLE",
    "RAY_OVERRIDE_DASHBOARD_URL",
    "RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR",
)

DEBUG_AUTOSCALING_ERROR = "__autoscaling_error"
DEBUG_AUTOSCALING_STATUS = "__autoscaling_status"
DEFAULT_RESOURCES = {"CPU", "GPU", "memory", "object_store_memory"}
DETACHED_ACTOR_ANONYMOUS_NAMESPACE_ERROR = "detached_actor_anonymous_namespace"
KV_NAMESPACE_FUNCTION_TABLE = b"fun"
RAY_OVERRIDE_DASHBOARD_URL = "RAY_OVERRIDE_DASHBOARD_URL"
RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR = "RAY_RUNTIME_ENV_TEMPORARY_REFERENCE_EXPIRATION_S"
