"""Resource requests: quantities, their granularity, and the mapping that the scheduler counts with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ("check_unit_quantities", "custom_resources_error", "quantity_error", "resource_mapping")

GRANULARITY = 10_000  # the least fraction of a resource is one part of this many
UNIT_RESOURCES = frozenset({"GPU", "TPU", "NPU", "HPU", "neuron_cores"})
_RESERVED = frozenset({"memory", "object_store_memory", "bundle"})


def quantity_error(name: str, quantity: Any) -> str | None:
    """Say what is wrong with a quantity.

    Args:
        name: The resource, or the option that sets it.
        quantity: How much of it (units of the resource; bytes for memory).

    Returns:
        The reason, or None for a valid quantity.
    """
    if quantity is None:
        return None
    if not hasattr(type(quantity), "__float__"):  # numbers of other libraries have it, texts do not
        return f"The quantity of resource {name} must be a number, but is {quantity!r}"
    if quantity < 0:
        return f"The quantity of resource {name} cannot be negative"
    if not math.isfinite(quantity):
        return f"The quantity of resource {name} must be a finite number, but is {quantity}"
    if quantity and int(quantity * GRANULARITY) == 0:
        return f"The precision of the fractional quantity of resource {name} cannot go beyond 0.0001"
    return None


def custom_resources_error(resources: Mapping[Any, Any] | None) -> str | None:
    """Say what is wrong with a ``resources`` option.

    Args:
        resources: Quantities by name.

    Returns:
        The reason, or None for a valid mapping.
    """
    if resources is None:
        return None
    if "CPU" in resources or "GPU" in resources:
        return "Use the 'num_cpus' and 'num_gpus' keyword instead of 'CPU' and 'GPU' in 'resources' keyword"
    for name, quantity in resources.items():
        if not isinstance(name, str):
            return f"Resource names must be strings, but one is {name!r}"
        if name in _RESERVED:
            return f"The resource name {name!r} is reserved and cannot be used in the 'resources' keyword"
        error = quantity_error(name, quantity)
        if error:
            return error
    return None


def resource_mapping(options: Mapping[str, Any], *, num_cpus: float) -> dict[str, float]:
    """Turn validated options into quantities by resource; zero quantities are left out.

    Args:
        options: Options as the user gave them.
        num_cpus: CPUs where the options do not say.

    Returns:
        Quantities by resource (bytes for memory).

    Raises:
        ValueError: A unit resource (GPU and the like) above one that is not a whole number.

    Example:
        >>> resource_mapping({"num_gpus": 1}, num_cpus=1)
        {'CPU': 1.0, 'GPU': 1.0}
    """
    cpus, memory = options.get("num_cpus"), options.get("memory")
    request: dict[str, float] = {
        "CPU": float(num_cpus if cpus is None else cpus),
        "GPU": float(options.get("num_gpus") or 0),
        "memory": float(int(memory or 0)),
    }
    for name, quantity in (options.get("resources") or {}).items():
        request[name] = float(quantity or 0)
    accelerator = options.get("accelerator_type")
    if accelerator is not None:
        request[f"accelerator_type:{accelerator}"] = 0.001
    check_unit_quantities(request)
    return {name: quantity for name, quantity in request.items() if quantity}


def check_unit_quantities(request: Mapping[str, float]) -> None:
    """Refuse fractions above one of resources that are whole devices.

    Raises:
        ValueError: There is one.
    """
    for name, quantity in request.items():
        if name in UNIT_RESOURCES and quantity > 1 and quantity != int(quantity):
            raise ValueError(f"{name} resource quantities above 1 must be whole numbers, but {quantity} was requested.")
