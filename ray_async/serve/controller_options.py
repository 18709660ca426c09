"""Options of the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("ControllerOptions",)


@dataclass(frozen=True)
class ControllerOptions:
    """How the controller runs; they count where it is created.

    Args:
        runtime_env: Its environment. Only ``env_vars`` may be in it: the controller outlives every driver, and needs
            what Serve itself is made of. Environments of replicas are in ``ray_actor_options``.

    Raises:
        TypeError: Something else than a dict, or variables that are no strings.
        ValueError: Another field than ``env_vars``.
    """

    runtime_env: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        environment: Any = self.runtime_env
        if environment is None:
            return
        if not isinstance(environment, Mapping):
            raise TypeError(f"runtime_env of controller_options must be a dict, but is {environment!r}")
        other = sorted(set(environment) - {"env_vars"})
        if other:
            raise ValueError(f"runtime_env of controller_options may have env_vars only, not {', '.join(other)}")
        variables: Any = environment.get("env_vars") or {}
        texts = isinstance(variables, Mapping) and all(
            isinstance(one, str) for pair in variables.items() for one in pair
        )
        if not texts:
            raise TypeError(f"env_vars of controller_options must be a dict of strings, but are {variables!r}")

    @classmethod
    def of(cls, value: ControllerOptions | Mapping[str, Any] | None) -> ControllerOptions:
        """The options that a value gives: these, their fields, or None for none.

        Raises:
            TypeError: Something else, or an unknown field.
            ValueError: A value that is not allowed.
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise TypeError(f"controller_options must be ControllerOptions or a dict, but is {value!r}")
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(value) - set(known))
        if unknown:
            raise TypeError(f"controller_options may have {', '.join(known)}, not {', '.join(unknown)}")
        return cls(**value)

    def of_actor(self) -> dict[str, Any]:
        """The same, as options of the actor."""
        variables = (self.runtime_env or {}).get("env_vars")
        return {"runtime_env": {"env_vars": dict(variables)}} if variables else {}
