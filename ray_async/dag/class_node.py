"""Class nodes and method nodes: actors and calls of actors that are not made yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ray_async.dag.keys import (
    BIND_INDEX_KEY,
    IS_CLASS_METHOD_OUTPUT_KEY,
    PARENT_CLASS_NODE_KEY,
    PREV_CLASS_METHOD_CALL_KEY,
)
from ray_async.dag.node import DAGNode

__all__ = ("ClassMethodNode", "ClassNode")


class ClassNode(DAGNode):
    """An actor that each execution creates, as a node of a graph. Its methods are attributes, with ``bind``.

    Args:
        actor_class: The actor class.
        args: Positional arguments of the constructor.
        kwargs: Keyword arguments.
        options: Options of the actor.
    """

    def __init__(
        self, actor_class: Any, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        self._actor_class = actor_class
        #: The method that was bound last: calls of one actor are made in the order in which they were bound.
        self._last_call: ClassMethodNode | None = None
        super().__init__(args, kwargs, options)

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        args, kwargs = self._resolved(results)
        return self._actor_class.remote(*args, **kwargs)

    def __getattr__(self, name: str) -> _UnboundMethod:
        actor_class = self.__dict__.get("_actor_class")
        if actor_class is None or name.startswith("__"):
            raise AttributeError(name)
        if name == "bind":
            raise AttributeError(f".bind() cannot be used again on {type(self).__name__} of {self._label()}.")
        meta = actor_class.__ray_metadata__.meta
        if meta.find(name) is None:
            raise AttributeError(f"'{meta.class_name}' has no attribute '{name}'", name=name, obj=self)
        return _UnboundMethod(self, meta, name, {})

    def _label(self) -> str:
        return str(self._actor_class._call_name())


class _UnboundMethod:
    """A method of an actor that does not exist yet.

    Args:
        actor: The actor's node.
        meta: Methods of its class.
        name: The method's name.
        options: Options of the call.
    """

    def __init__(self, actor: ClassNode, meta: Any, name: str, options: Mapping[str, Any]) -> None:
        self._actor = actor
        self._meta = meta
        self._name = name
        self._options = options

    def options(self, **options: Any) -> _UnboundMethod:
        """The same method with other options."""
        return _UnboundMethod(self._actor, self._meta, self._name, {**self._options, **options})

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """Make a node, or as many as the method has returns."""
        previous = self._actor._last_call
        others = {PARENT_CLASS_NODE_KEY: self._actor, PREV_CLASS_METHOD_CALL_KEY: previous}
        returns = self._options.get("num_returns", self._meta.find(self._name).options.num_returns)
        call = ClassMethodNode(self._name, f"{self._actor._label()}.{self._name}", args, kwargs, self._options, others)
        self._actor._last_call = call
        return with_outputs(call, returns)

    def remote(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to be called.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(
            ".remote() cannot be used on ClassMethodNodes: use .bind() instead, for a graph of an actor's methods."
        )


class ClassMethodNode(DAGNode):
    """A call of an actor's method, or one of its returns, as a node of a graph.

    Args:
        name: The method's name.
        label: What drawings call it.
        args: Positional arguments.
        kwargs: Keyword arguments.
        options: Options of the call.
        others: The node of the actor and of the call before this one; or the actor's handle; or, for one of several
            returns, the node of the call and the index.
        method: The method of the actor that exists already.
    """

    def __init__(
        self,
        name: str,
        label: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        others: Mapping[str, Any],
        method: Any = None,
    ) -> None:
        self._method_name = name
        self._method = method
        self._title = label
        #: How many returns the call has; a node of one of them has one.
        self.num_returns = 1
        super().__init__(args, kwargs, options, others)

    @property
    def is_class_method_output(self) -> bool:
        """Whether this is one of several returns, and not the call."""
        return bool(self._bound_other_args.get(IS_CLASS_METHOD_OUTPUT_KEY))

    @property
    def output_index(self) -> int:
        """Which of several returns this is."""
        return int(self._bound_other_args[BIND_INDEX_KEY])

    @property
    def class_method_call(self) -> DAGNode:
        """The call that this is a return of."""
        found = self._bound_args[0]
        assert isinstance(found, DAGNode)
        return found

    def is_output_of(self, call: DAGNode) -> bool:
        """Whether this is one of a call's several returns."""
        return self.is_class_method_output and self._bound_args[0] is call

    def get_method_name(self) -> str:
        """The method's name."""
        return self._method_name

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        if self.is_class_method_output:
            return results[id(self._bound_args[0])][self.output_index]
        method = self._method
        if method is None:
            handle = results[id(self._bound_other_args[PARENT_CLASS_NODE_KEY])]
            method = getattr(handle, self._method_name)
            if self._bound_options:
                method = method.options(**self._bound_options)
        args, kwargs = self._resolved(results)
        return method.remote(*args, **kwargs)

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
        raise AttributeError(".remote() cannot be used on ClassMethodNodes: use .execute() instead.")

    def _label(self) -> str:
        return f"{self._title}[{self.output_index}]" if self.is_class_method_output else self._title


def with_outputs(call: ClassMethodNode, returns: Any) -> Any:
    """A call's node; where it has several returns, the nodes of these."""
    if not isinstance(returns, int) or returns < 2:
        return call
    call.num_returns = returns
    kind = {IS_CLASS_METHOD_OUTPUT_KEY: True}
    return tuple(
        ClassMethodNode(call._method_name, call._title, (call,), {}, {}, {**kind, BIND_INDEX_KEY: index})
        for index in range(returns)
    )
