"""The environment of workers: variables, working directory, modules.

`RuntimeEnv` (validated by `validation`) → `merge` with the parent's → `packaging` replaces local directories by content
addresses in the session's directory → the node picks workers by `environment_key` and `needs_exec` → `apply` in a fresh
worker.
"""

from ray_async.runtime_env.runtime_env import RuntimeEnv, RuntimeEnvConfig, merge_runtime_env
from ray_async.runtime_env.worker_setup import apply, environment_key, needs_exec

__all__ = ("RuntimeEnv", "RuntimeEnvConfig", "apply", "environment_key", "merge_runtime_env", "needs_exec")
