"""Setting up a worker for its runtime environment, and the key of environments that can share a worker."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from ray_async.runtime_env.validation import FIELD_CHECKS, local_path

__all__ = ("PICKLED_HOOK", "apply", "environment_key", "expand_variables", "needs_exec")

PICKLED_HOOK = "cloudpickle:"
"""What a setup hook starts with that is a pickled function in base64."""

_UNAVAILABLE = ("pip", "uv", "conda", "container", "image_uri", "py_executable")
# Fields that say how a worker is set up, not what it is like then.
_NO_TRAIT = ("config", "excludes")

# Read once, when a program or a library is loaded: a process forked from the zygote has passed that point.
_READ_AT_START = re.compile(
    r"LD_.*|PYTHON.*|OMP_.*|GOMP_.*|KMP_.*|MKL_.*|OPENBLAS_.*|GOTO_.*|BLIS_.*|VECLIB_.*|NUMEXPR_.*|NPY_.*"
    r"|MALLOC_.*|GLIBC_TUNABLES|JE_MALLOC_CONF|TCMALLOC_.*|[ALTU]SAN_OPTIONS|UBSAN_OPTIONS|DYLD_.*|LC_.*|LANG|TZ"
)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def environment_key(env: Mapping[str, Any] | None) -> str:
    """Return a stable key: environments with equal keys can share workers. The empty environment has the empty key."""
    traits = {field: value for field, value in (env or {}).items() if field not in _NO_TRAIT and value}
    if not traits:
        return ""
    return hashlib.sha256(json.dumps(traits, sort_keys=True, default=repr).encode()).hexdigest()[:32]


def needs_exec(env: Mapping[str, Any] | None) -> bool:
    """Whether workers of this environment must be started afresh, since a forked one reads its variables too late."""
    if not env:
        return False
    return "py_executable" in env or any(_READ_AT_START.fullmatch(name) for name in env.get("env_vars") or ())


def expand_variables(env_vars: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """Replace each `${NAME}` in the values by the variable's value in `base`, or by nothing if there is none.

    Example:
        >>> expand_variables({"PATH": "/opt/bin:${PATH}"}, {"PATH": "/bin"})
        {'PATH': '/opt/bin:/bin'}
    """
    return {name: _VARIABLE.sub(lambda match: base.get(match[1], ""), value) for name, value in env_vars.items()}


def apply(
    env: Mapping[str, Any] | None,
    session_dir: str | os.PathLike[str],
    environ: MutableMapping[str, str] = os.environ,
) -> None:
    """Turn this fresh worker process into one of the environment: variables, directory, `sys.path`, then the hook.

    Args:
        env: the environment, packaged.
        session_dir: the session's directory, which holds the packages.
        environ: the variables to change.

    Raises:
        RuntimeEnvSetupError: something in it cannot be had; the message says what.
    """
    from ray_async.exceptions import RuntimeEnvSetupError

    if not env:
        return
    _refuse_unavailable(env)
    try:
        environ.update(expand_variables(env.get("env_vars") or {}, dict(environ)))
        _add_modules(env.get("py_modules") or (), session_dir, environ)
        if env.get("working_dir"):
            _enter_working_dir(env["working_dir"], session_dir, environ)
        if env.get("worker_process_setup_hook"):
            _load_hook(env["worker_process_setup_hook"])()
    except Exception as error:
        raise RuntimeEnvSetupError(f"the runtime environment failed: {type(error).__name__}: {error}") from error


def _refuse_unavailable(env: Mapping[str, Any]) -> None:
    from ray_async.exceptions import RuntimeEnvSetupError

    for field in env:
        if field in _UNAVAILABLE:
            raise RuntimeEnvSetupError(
                f"runtime_env: {field!r} is not available yet; install what is needed into the Python that runs "
                "the driver, or send modules with py_modules and working_dir"
            )
        if field not in FIELD_CHECKS:
            raise RuntimeEnvSetupError(
                f"runtime_env: there is no field {field!r}; the fields are {', '.join(FIELD_CHECKS)}"
            )


def _directory(address: str, session_dir: str | os.PathLike[str]) -> str:
    if local_path(address) is not None:
        raise ValueError(f"{address!r} is a path of the driver's: the environment was not packaged")
    from ray_async.runtime_env.packaging import unpack  # only few workers need the archive modules

    return str(unpack(address, session_dir))


def _add_modules(
    addresses: Iterable[str], session_dir: str | os.PathLike[str], environ: MutableMapping[str, str]
) -> None:
    for address in reversed([*addresses]):
        _put_first(_directory(address, session_dir), environ)


def _enter_working_dir(address: str, session_dir: str | os.PathLike[str], environ: MutableMapping[str, str]) -> None:
    directory = _directory(address, session_dir)
    os.chdir(directory)
    _put_first(directory, environ)


def _put_first(directory: str, environ: MutableMapping[str, str]) -> None:
    sys.path.insert(0, directory)
    # Programs that the worker starts find the same modules.
    inherited = environ.get("PYTHONPATH")
    environ["PYTHONPATH"] = f"{directory}{os.pathsep}{inherited}" if inherited else directory


def _load_hook(hook: str) -> Any:
    if hook.startswith(PICKLED_HOOK):
        import cloudpickle

        return cloudpickle.loads(base64.b64decode(hook.removeprefix(PICKLED_HOOK)))
    module, _, name = hook.rpartition(".")
    return getattr(importlib.import_module(module), name)
