"""Things built on the public API: pools, queues, placement groups, scheduling strategies and helpers around them.

Names come from their modules on first access, except those of placement groups: the function `placement_group` has its
module's name, and must be bound after the import system has bound the module.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ray_async.submodules import submodule
from ray_async.util.placement_group import (
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

if TYPE_CHECKING:
    from ray_async.api.named_actors import list_named_actors
    from ray_async.util import accelerators, state
    from ray_async.util.actor_pool import ActorPool
    from ray_async.util.check_serialize import inspect_serializability
    from ray_async.util.completion import as_completed, map_unordered
    from ray_async.util.debug import disable_log_once_globally, enable_periodic_logging, log_once
    from ray_async.util.node_address import get_node_instance_id, get_node_ip_address
    from ray_async.util.serialization import deregister_serializer, register_serializer

__all__ = (
    "ActorPool",
    "accelerators",
    "as_completed",
    "deregister_serializer",
    "disable_log_once_globally",
    "enable_periodic_logging",
    "get_current_placement_group",
    "get_node_instance_id",
    "get_node_ip_address",
    "get_placement_group",
    "inspect_serializability",
    "list_named_actors",
    "log_once",
    "map_unordered",
    "placement_group",
    "placement_group_table",
    "register_serializer",
    "remove_placement_group",
    "state",
)

_HOMES = {
    "state": "ray_async.util.state",
    "accelerators": "ray_async.util.accelerators",
    "ActorPool": "ray_async.util.actor_pool",
    "as_completed": "ray_async.util.completion",
    "deregister_serializer": "ray_async.util.serialization",
    "disable_log_once_globally": "ray_async.util.debug",
    "enable_periodic_logging": "ray_async.util.debug",
    "get_node_instance_id": "ray_async.util.node_address",
    "get_node_ip_address": "ray_async.util.node_address",
    "inspect_serializability": "ray_async.util.check_serialize",
    "list_named_actors": "ray_async.api.named_actors",
    "log_once": "ray_async.util.debug",
    "map_unordered": "ray_async.util.completion",
    "register_serializer": "ray_async.util.serialization",
}


class _Package(ModuleType):
    """Keeps the function `placement_group`: a module imported by another name would be bound over it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name == "placement_group" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # As for any module: functions that use it carry its name, not its contents.
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        return submodule(__name__, name)
    module = importlib.import_module(home)
    value = getattr(module, name, module)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
