"""Options that a session is started with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_async.config import ADDRESS, NAMESPACE, Settings

if TYPE_CHECKING:
    from ray_async.spec.job_config import JobConfig
    from ray_async.spec.logging_config import LoggingConfig

__all__ = ("InitOptions",)


class InitOptions(NamedTuple):
    """Checked arguments of ``init``.

    Args:
        address: None (attach to this machine's latest node, else start one), "auto" (attach, ConnectionError when
            there is none), "local" (start one), or ``host:port``.
        num_cpus, num_gpus, resources, labels: What the started node offers; None detects.
        object_store_memory: Bytes of the object store; None is a share of the machine's memory.
        job_config: The job's settings.
        configure_logging, logging_level, logging_format, logging_config: Logging of driver and workers.
        log_to_driver: Whether workers' output is shown.
        namespace: Namespace of named actors; None is one of the session's own.
        runtime_env: The job's environment.
        system_config: Settings by configuration name.
        temp_dir: Directory of sessions.
        node_name: Name of the node.
        memory: Bytes offered as the resource ``memory``.
        object_spilling_directory: Where objects are spilled to.
        node_ip_address: The address that the node is known by.
        preload: Modules that all workers have when they start; without effect on a running node, whose workers import
            them at their first use.
        skip_env_hook: Whether the function that RAY_RUNTIME_ENV_HOOK names is left alone.
    """

    address: str | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: Mapping[str, float] | None = None
    labels: Mapping[str, str] | None = None
    object_store_memory: int | None = None
    job_config: JobConfig | None = None
    configure_logging: bool = True
    logging_level: int | str = "info"
    logging_format: str | None = None
    logging_config: LoggingConfig | None = None
    log_to_driver: bool = True
    namespace: str | None = None
    runtime_env: Mapping[str, Any] | None = None
    system_config: Mapping[str, object] | None = None
    temp_dir: str | None = None
    node_name: str | None = None
    memory: int | None = None
    object_spilling_directory: str | None = None
    node_ip_address: str | None = None
    skip_env_hook: bool = False
    preload: tuple[str, ...] | None = None

    def check_attaching(self) -> None:
        """Refuse settings of a node where a running one is attached to.

        Raises:
            ValueError: There are some.
        """
        from ray_async.spec.node_options import NODE_OPTIONS  # few programs attach to a node

        given = [option.name for option in NODE_OPTIONS if option.refused and getattr(self, option.name) is not None]
        if given:
            raise ValueError(
                f"When attaching to a running node (address={self.address!r}), {', '.join(given)} must not be "
                "provided. "
                "init(address='local') starts a node of its own."
            )

    def with_environment(self) -> InitOptions:
        """Take the address and the namespace from RAY_ADDRESS and RAY_NAMESPACE where none is given."""
        address, namespace = self.address, self.namespace
        if address is None:
            address = Settings().get(ADDRESS) or None
        if namespace is None:
            namespace = Settings().get(NAMESPACE) or None
        return self._replace(address=address, namespace=namespace)
