"""Function nodes: calls of remote functions that are not made yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ray_async.dag.node import DAGNode

__all__ = ("FunctionNode",)


class FunctionNode(DAGNode):
    """A task, as a node of a graph.

    Args:
        function: The remote function.
        args: Positional arguments.
        kwargs: Keyword arguments.
        options: Options of the call.
    """

    def __init__(
        self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        self._function = function
        super().__init__(args, kwargs, options)

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        args, kwargs = self._resolved(results)
        return self._function.remote(*args, **kwargs)

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to be bound again.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f".bind() cannot be used again on {type(self).__name__} of {self._label()}.")

    def remote(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to be called.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f".remote() cannot be used on {type(self).__name__} of {self._label()}: use .execute().")

    def _label(self) -> str:
        return str(self._function._call_name())
