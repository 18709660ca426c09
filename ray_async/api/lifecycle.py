"""The lifecycle of a connection: init, shutdown, is_initialized."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ray_async.engine.current import connect, disconnect, get_session, has_session
from ray_async.engine.init_options import InitOptions
from ray_async.ignored_option import note_ignored
from ray_async.spec.job_config import JobConfig, check_namespace
from ray_async.spec.label_selector import label_selector_error
from ray_async.spec.resource_request import custom_resources_error, quantity_error
from ray_async.suggestion import did_you_mean

if TYPE_CHECKING:
    from ray_async.engine.protocol import Session

__all__ = ("RayContext", "init", "is_initialized", "shutdown")

#: Keywords for programs written for Ray that have no meaning here.
_MEANINGLESS = (
    "_enable_object_reconstruction",
    "_plasma_directory",
    "_driver_object_store_memory",
    "_redis_username",
    "_redis_password",
    "_metrics_export_port",
    "_tracing_startup_hook",
)
_DASHBOARD_HOST = "127.0.0.1"
_INJECTED_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


class RayContext(Mapping[str, Any]):
    """What `init` returns: facts about the connection; as a context manager, it ends the connection on exit.

    It is a mapping of ``address_info`` too, for older programs.
    """

    def __init__(self, address_info: Mapping[str, Any]) -> None:
        self.address_info: dict[str, Any] = dict(address_info)

    @property
    def dashboard_url(self) -> str | None:
        """Address of the status page, or None where there is none."""
        url: str | None = self.address_info.get("webui_url") or None
        return url

    @property
    def python_version(self) -> str:
        """Version of the interpreter."""
        import platform

        return platform.python_version()

    @property
    def ray_version(self) -> str:
        """Version of the package."""
        from ray_async.version import __version__

        return __version__

    @property
    def ray_commit(self) -> str:
        """Commit that the package was built from."""
        from ray_async.version import __commit__

        return __commit__

    def disconnect(self) -> None:
        """End the connection."""
        shutdown()

    def __enter__(self) -> RayContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutdown()

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.address_info)

    def __len__(self) -> int:
        return len(self.address_info)

    def __repr__(self) -> str:
        return f"RayContext(address={self.address_info.get('address')!r}, dashboard_url={self.dashboard_url!r})"


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    object_store_memory: int | None = None,
    local_mode: bool = False,
    ignore_reinit_error: bool = False,
    include_dashboard: bool | None = None,
    dashboard_host: str = _DASHBOARD_HOST,
    dashboard_port: int | None = None,
    job_config: JobConfig | dict[str, Any] | None = None,
    configure_logging: bool = True,
    logging_level: int | str = "info",
    logging_format: str | None = None,
    logging_config: Any = None,
    log_to_driver: bool | None = None,
    namespace: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    preload: Sequence[str] = (),
    enable_resource_isolation: bool = False,
    cgroup_path: str | None = None,
    system_reserved_cpu: float | None = None,
    system_reserved_memory: int | None = None,
    proxy_server_url: str | None = None,
    **kwargs: Any,
) -> RayContext:
    """Connect to a node, starting one where none is.

    Args:
        address: None attaches to RAY_ADDRESS or this machine's latest node and else starts one; "auto" attaches;
            "local" starts one; ``host:port`` attaches to that node.
        num_cpus: CPUs that the started node offers; the machine's by default.
        num_gpus: GPUs that it offers; the machine's by default.
        resources: Other resources that it offers, by name.
        labels: Labels of the node.
        object_store_memory: Bytes that objects may take in memory.
        local_mode: Refused: it was removed.
        ignore_reinit_error: Whether a second call is accepted.
        include_dashboard: Whether the started node has a dashboard, to which a link is printed to the standard error;
            none by default.
        dashboard_host: Where that listens: loopback, unless other machines are to reach it.
        dashboard_port: Its port; the first that is free from 8265 on by default.
        job_config: A `JobConfig`, or a mapping of its arguments.
        configure_logging: Whether the package's logger is set up.
        logging_level: Its level.
        logging_format: Its format.
        logging_config: A `LoggingConfig` for driver and workers.
        log_to_driver: Whether the workers' output is shown here; yes by default.
        namespace: Namespace of named actors; one of this connection's own by default.
        runtime_env: Environment of the job's tasks and actors.
        preload: Names of modules that all workers of the started node have when they start, instead of importing them
            at their first use (see docs/processes.md); those of the setting ``preload_python_modules`` are added.
            Without effect where a running node is attached to.
        enable_resource_isolation: Refused: workers are not put into control groups.
        cgroup_path, system_reserved_cpu, system_reserved_memory: Of resource isolation; refused too.
        proxy_server_url: Noted, and without effect.
        kwargs: Settings with a leading underscore that programs written for Ray use; those without effect are noted.

    Returns:
        Facts about the connection; also a context manager.

    Raises:
        ConnectionError: The node to attach to does not run.
        RuntimeError: Already connected, an unknown keyword, or one that was removed.
        TypeError: A value of the wrong type.
        ValueError: A value that is not allowed, or settings of a node while attaching to one.

    Example:
        >>> with ray.init(num_cpus=4):
        ...     ray.get(f.remote())
    """
    _refuse_removed(local_mode, kwargs)
    if enable_resource_isolation or (cgroup_path, system_reserved_cpu, system_reserved_memory) != (None, None, None):
        raise ValueError(
            "resource isolation (enable_resource_isolation, cgroup_path, system_reserved_cpu, system_reserved_memory) "
            "is not available: start the program in a control group of its own instead, whose limits are respected."
        )
    if has_session():
        if ignore_reinit_error:
            return _context(get_session())
        raise RuntimeError(
            "Maybe you called init() twice by accident? This process is connected already: call shutdown() first, "
            "or pass ignore_reinit_error=True."
        )
    _note_ignored(proxy_server_url, kwargs)
    options = InitOptions(
        address=address,
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        resources=resources,
        labels=labels,
        object_store_memory=object_store_memory,
        job_config=_job_config(job_config),
        configure_logging=configure_logging,
        logging_level=logging_level,
        logging_format=logging_format,
        logging_config=logging_config,
        log_to_driver=log_to_driver is not False,
        namespace=check_namespace(namespace),
        runtime_env=_job_runtime_env(runtime_env),
        preload=_preload(preload),
        **{option: kwargs[key] for key, option in hidden_options().items() if key in kwargs},
    ).with_environment()
    _check(options)
    session = connect(options)
    if not session.owns_node:
        from ray_async.spec.node_options import NODE_OPTIONS

        for option in NODE_OPTIONS:
            # Modules that are to be preloaded are imported by the running node's workers at their first use.
            if not option.refused and option.name != "preload" and getattr(options, option.name) is not None:
                note_ignored(f"init({option.init}=...)", "the node that this attaches to has its own")
    if include_dashboard:
        _start_dashboard(session, dashboard_host, dashboard_port)
    return _context(session)


def _context(session: Session) -> RayContext:
    info: dict[str, Any] = {**session.address_info()}
    folder = info.get("session_dir", "")  # engines of other kinds have none
    if folder and os.path.exists(os.path.join(folder, "dashboard.lock")):
        from ray_async.dashboard.launch import dashboard_at

        found = dashboard_at(folder)
        info["webui_url"] = found.url.partition("://")[2] if found is not None else ""
    return RayContext(info)


def _start_dashboard(session: Session, host: str, port: int | None) -> None:
    from ray_async.dashboard.launch import dashboard_at, start_dashboard

    info = session.address_info()
    try:
        found = dashboard_at(info["session_dir"]) or start_dashboard(info["address"], info["session_dir"], host, port)
        print(f"View the dashboard at {found.link()}", file=sys.stderr, flush=True)
    except BaseException:
        disconnect()
        raise


def hidden_options() -> dict[str, str]:
    """Keywords of `init` that its signature does not show, and the options that they set."""
    from ray_async.spec.node_options import NODE_OPTIONS  # not before there is a session to be started

    hidden = {option.init: option.name for option in NODE_OPTIONS if option.init.startswith("_")}
    return {
        **hidden,
        "object_spilling_directory": "object_spilling_directory",
        "_skip_env_hook": "skip_env_hook",
    }


def shutdown(*, wait_for_processes: bool = False, _exiting_interpreter: bool = False) -> None:
    """End the connection, and the node if `init` started it. Does nothing when there is none.

    Args:
        wait_for_processes: Return only when the node's processes are gone.
    """
    disconnect(wait_for_processes)


def is_initialized() -> bool:
    """Return whether this process is connected."""
    return has_session()


def _refuse_removed(local_mode: bool, kwargs: Mapping[str, Any]) -> None:
    if local_mode:
        raise RuntimeError("init(local_mode=True) was removed: call the functions directly to debug them.")
    if "storage" in kwargs:
        raise RuntimeError("init(storage=...) was removed.")
    if "allow_multiple" in kwargs:
        raise RuntimeError("init(allow_multiple=...) is for thin clients only.")
    unknown = sorted(set(kwargs) - {*hidden_options(), *_MEANINGLESS})
    if unknown:
        from inspect import signature

        hint = did_you_mean(unknown[0], {*signature(init).parameters} - {"kwargs"})
        raise RuntimeError(f"Unknown keyword argument(s): {', '.join(unknown)}.{hint}")


def _note_ignored(proxy: str | None, hidden: Mapping[str, Any]) -> None:
    for name, value in {"proxy_server_url": proxy, **hidden}.items():
        if value is not None and name in ("proxy_server_url", *_MEANINGLESS):
            note_ignored(f"init({name}=...)", "there is no such part on one machine")


def _check(options: InitOptions) -> None:
    config = options.system_config
    if config is not None and not isinstance(config, dict):
        raise TypeError(f"_system_config must be a dict, but is {type(config)}.")
    address = options.address
    if address is not None and not isinstance(address, str):
        raise TypeError(f"address must be None or a string, but is {type(address)}.")
    for name, given in (("resources", options.resources), ("labels", options.labels)):
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"{name} must be a dict, but is {given!r}.")
    if options.logging_config is not None:
        from ray_async.spec.logging_config import LoggingConfig

        if not isinstance(options.logging_config, LoggingConfig):
            raise TypeError(f"logging_config must be a LoggingConfig, but is {options.logging_config!r}.")
    if options.runtime_env is not None:
        from ray_async.runtime_env.validation import check_fields

        check_fields(options.runtime_env)
    problems = (
        quantity_error("num_cpus", options.num_cpus),
        quantity_error("num_gpus", options.num_gpus),
        quantity_error("object_store_memory", options.object_store_memory),
        custom_resources_error(options.resources),
        label_selector_error(dict(options.labels)) if options.labels is not None else None,
    )
    for problem in problems:
        if problem:
            raise ValueError(problem)
    if options.temp_dir is not None and not os.path.isabs(options.temp_dir):
        raise ValueError(f"_temp_dir must be an absolute path, but is {options.temp_dir!r}.")
    if address not in (None, "local"):
        options.check_attaching()


def _preload(given: Sequence[str]) -> tuple[str, ...] | None:
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"preload must be a list of the names of modules, but is {given!r}.")
    return tuple(given) or None


def _job_config(given: JobConfig | dict[str, Any] | None) -> JobConfig | None:
    if isinstance(given, dict):
        return JobConfig.from_json(given)
    return given


def _job_runtime_env(given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The environment of a submitted job is handed over by variable; both may set keys, but not the same ones."""
    text = os.environ.get(_INJECTED_JOB_CONFIG)
    if not text:
        return given
    import json

    injected: dict[str, Any] = json.loads(text).get("runtime_env") or {}
    ours = dict(given or {})
    if os.environ.get("RAY_OVERRIDE_JOB_RUNTIME_ENV") != "1":
        _refuse_conflicts(injected, ours)
    variables = {**injected.get("env_vars", {}), **ours.get("env_vars", {})}
    merged = {**injected, **ours}
    if variables:
        merged["env_vars"] = variables
    return merged


def _refuse_conflicts(injected: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    keys = [key for key in ours if key != "env_vars" and key in injected and injected[key] != ours[key]]
    theirs = injected.get("env_vars", {})
    keys += [f"env_vars[{name}]" for name in ours.get("env_vars", {}) if name in theirs]
    if keys:
        raise ValueError(
            f"The job's runtime_env and that of init() both set {keys}. "
            "Set them in one place, or set RAY_OVERRIDE_JOB_RUNTIME_ENV=1 to prefer init()."
        )
