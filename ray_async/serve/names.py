"""Names under which Serve's actors and files are found."""

from __future__ import annotations

from pathlib import Path

import ray_async as ray

__all__ = (
    "CONTROLLER",
    "DEFAULT_APP",
    "DEPLOYMENT_ACTOR_PREFIX",
    "FRONT",
    "GRPC_SERVER",
    "NAMESPACE",
    "REPLICA_PREFIX",
    "deployment_key",
    "folder",
)

CONTROLLER = "SERVE_CONTROLLER_ACTOR"
GRPC_SERVER = "SERVE_GRPC_SERVER"
NAMESPACE = "serve"
REPLICA_PREFIX = "SERVE_REPLICA::"
DEPLOYMENT_ACTOR_PREFIX = "SERVE_DEPLOYMENT_ACTOR::"
FRONT = "SERVE_FRONT"
DEFAULT_APP = "default"


def deployment_key(app: str, deployment: str) -> str:
    """A deployment's key in tables: neither name may contain ``#``."""
    return f"{app}#{deployment}"


def folder() -> Path:
    """Serve's folder in the session's: it goes with the session."""
    context = ray.get_runtime_context()
    temp, name = Path(context.get_temp_dir()), context.get_session_name()
    return (temp if temp.name == name else temp / name) / "serve"
