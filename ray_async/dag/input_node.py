"""Input nodes: what stands in a graph for the values that `execute` is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.dag.node import DAGNode

__all__ = ("DAGInputData", "InputAttributeNode", "InputNode", "pack_input")


class DAGInputData:
    """Several values given to `execute`: by index, by key, or as attributes.

    Args:
        args: Positional values.
        kwargs: Values by name.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._args = args
        self._kwargs = dict(kwargs)

    def __getitem__(self, key: int | str) -> Any:
        return self._args[key] if isinstance(key, int) else self._kwargs[key]

    def __getattr__(self, name: str) -> Any:
        kwargs = self.__dict__.get("_kwargs", {})  # not yet unpickled
        if name not in kwargs:
            raise AttributeError(f"execute() was given no {name!r}", name=name, obj=self)
        return kwargs[name]


def pack_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What `InputNode` stands for: one value as it is, and several together."""
    return args[0] if len(args) == 1 and not kwargs else DAGInputData(args, kwargs)


class InputNode(DAGNode):
    """Stands for what `execute` is given; its items and attributes stand for those of what is given.

    Args:
        input_type: Accepted, and not needed.

    Example:
        >>> with InputNode() as inp:
        ...     dag = add.bind(inp[0], inp.other)
        >>> dag.execute(1, other=2)
    """

    _is_input = True

    def __init__(self, *, input_type: Any = None) -> None:
        self.was_entered = False
        self._attributes: dict[tuple[str, int | str], InputAttributeNode] = {}
        super().__init__()

    def __enter__(self) -> InputNode:
        self.was_entered = True
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __getitem__(self, key: int | str) -> InputAttributeNode:
        if not isinstance(key, (int, str)):
            raise ValueError(f"InputNode is indexed by an int or a str, not by {key!r}.")
        return self._attribute("item", key)

    def __getattr__(self, name: str) -> InputAttributeNode:
        if name.startswith("_") or "_attributes" not in self.__dict__:
            raise AttributeError(name)
        return self._attribute("attribute", name)

    def _attribute(self, kind: str, key: int | str) -> InputAttributeNode:
        if (kind, key) not in self._attributes:
            self._attributes[kind, key] = InputAttributeNode(self, kind, key)
        return self._attributes[kind, key]

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        return given


class InputAttributeNode(DAGNode):
    """Stands for an item or an attribute of what `execute` is given.

    Args:
        whole: The input.
        kind: "item" or "attribute".
        key: Index, key or name.
    """

    _is_input = True

    def __init__(self, whole: InputNode, kind: str, key: int | str) -> None:
        self._kind = kind
        self.key = key
        super().__init__((whole,))

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        whole = results[id(self._bound_args[0])]
        return whole[self.key] if self._kind == "item" else getattr(whole, str(self.key))

    def _label(self) -> str:
        return f"{self.key!r}"
