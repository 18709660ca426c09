"""Nodes: the base of what ``bind`` makes, and how a graph of them is walked."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ray_async.dag.nested import Nested, contained_nodes

if TYPE_CHECKING:
    from ray_async.dag.compiled.graph import CompiledDAG

__all__ = ("DAGNode",)

T = TypeVar("T")

_bound = itertools.count()


class DAGNode:
    """A call that is not made yet, with its arguments, some of which may be nodes: what those give is passed on.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        options: Options of the call, as they were given to ``options``.
        other_args: What the node depends on beside its arguments, by name.
    """

    def __init__(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        other_args: Mapping[str, Any] | None = None,
    ) -> None:
        self._bound_args = tuple(args)
        self._bound_kwargs = dict(kwargs or {})
        self._bound_options = dict(options or {})
        self._bound_other_args = dict(other_args or {})
        self._stable_uuid = uuid.uuid4().hex
        #: Nodes of one process in the order in which they were bound: each comes behind those that it depends on.
        self.bind_index = next(_bound)
        self._last_refs: dict[str, Any] | None = None
        self._tensor_transport: str | None = None
        self._compiled = False
        #: Nodes that take this one's value; those that nothing else refers to are the ones that would be forgotten.
        self._downstream: list[DAGNode] = []
        self._nested: list[tuple[str | int, Nested]] = []
        self._upstream: list[DAGNode] = []
        places: list[tuple[str | int, Any]] = [*enumerate(self._bound_args), *self._bound_kwargs.items()]
        for place, value in places:
            nodes = contained_nodes(value)
            if nodes and not isinstance(value, DAGNode):
                self._nested.append((place, Nested(value)))
            self._upstream += [node for node in nodes if all(node is not known for known in self._upstream)]
        for node in self._upstream:
            node._downstream.append(self)

    def get_args(self) -> tuple[Any, ...]:
        """The positional arguments."""
        return self._bound_args

    def get_kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        return dict(self._bound_kwargs)

    def get_options(self) -> dict[str, Any]:
        """The options that were given to ``options``."""
        return dict(self._bound_options)

    def get_other_args_to_resolve(self) -> dict[str, Any]:
        """What the node depends on beside its arguments."""
        return dict(self._bound_other_args)

    def get_stable_uuid(self) -> str:
        """A name of the node that is no other's, the same for as long as the node lives."""
        return self._stable_uuid

    def with_tensor_transport(self, transport: str = "auto", device: str = "default", **hints: Any) -> DAGNode:
        """Say how tensors that the node gives are to travel in a compiled graph.

        Args:
            transport: "auto" or "shm": through shared memory.
            device: "default" or "cpu".
            hints: Accepted, and not needed.

        Returns:
            The node itself.

        Raises:
            ValueError: A transport or a device that there is not.
        """
        if transport not in ("auto", "shm"):
            raise ValueError(f"transport must be 'auto' or 'shm', which is shared memory, but is {transport!r}.")
        if device not in ("default", "cpu"):
            raise ValueError(f"device must be 'default' or 'cpu', but is {device!r}.")
        self._tensor_transport = transport
        return self

    # -- walking -------------------------------------------------------------------------------------------------------

    def _dependencies(self) -> list[DAGNode]:
        """Nodes that come before this one: of the arguments, and others."""
        others = [value for value in self._bound_other_args.values() if isinstance(value, DAGNode)]
        return [*others, *self._upstream]

    def traverse_and_apply(self, function: Callable[[DAGNode], T]) -> T:
        """Call a function with each node that this one depends on, and with this one last.

        Returns:
            What it gives for this node.
        """
        results = [function(node) for node in self._in_order()]
        return results[-1]

    def _in_order(self) -> list[DAGNode]:
        """This node and all before it, each once, each behind those that it depends on."""
        order: list[DAGNode] = []
        seen: set[int] = set()
        pending: list[tuple[DAGNode, bool]] = [(self, False)]
        while pending:
            node, expanded = pending.pop()
            if expanded:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                pending.append((node, True))
                pending += [(before, False) for before in reversed(node._dependencies()) if id(before) not in seen]
        return order

    def apply_recursive(self, function: Callable[[DAGNode], Any]) -> Any:
        """Replace each node, those of arguments first, by what a function gives for a copy with the new arguments.

        Returns:
            What it gives for this node.
        """
        replaced: dict[int, Any] = {}
        for node in self._in_order():
            args, kwargs = node._arguments(lambda before: replaced[id(before)])
            others = {
                key: replaced[id(value)] if isinstance(value, DAGNode) else value
                for key, value in node._bound_other_args.items()
            }
            copy = node._copy_with(args, kwargs, others)
            copy._stable_uuid = node._stable_uuid
            replaced[id(node)] = function(copy)
        return replaced[id(self)]

    def _copy_with(self, args: Sequence[Any], kwargs: Mapping[str, Any], others: Mapping[str, Any]) -> DAGNode:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        DAGNode.__init__(copy, args, kwargs, self._bound_options, others)
        return copy

    def _arguments(self, replace: Callable[[DAGNode], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with something else in the place of each node."""
        args: list[Any] = [replace(value) if isinstance(value, DAGNode) else value for value in self._bound_args]
        kwargs = {k: replace(v) if isinstance(v, DAGNode) else v for k, v in self._bound_kwargs.items()}
        for place, nested in self._nested:
            if isinstance(place, int):
                args[place] = nested.rebuild(replace)
            else:
                kwargs[place] = nested.rebuild(replace)
        return tuple(args), kwargs

    # -- making the calls ----------------------------------------------------------------------------------------------

    def execute(self, *args: Any, _ray_cache_refs: bool = False, **kwargs: Any) -> Any:
        """Make the calls of this node and of all before it, each once.

        Args:
            args: What `InputNode` stands for: one value, or several that are taken by index.
            _ray_cache_refs: Keep what each node gives, for later calls and for `get_object_refs_from_last_execute`.
            kwargs: Values that are taken from `InputNode` by name.

        Returns:
            A reference; a list of them for several outputs or returns; a handle, for an actor.

        Raises:
            AssertionError: An `InputNode` was made outside a ``with`` block.
            ValueError: More than one `InputNode`.
        """
        from ray_async.dag.input_node import pack_input

        order = self._in_order()
        known = self._last_refs or {} if _ray_cache_refs else {}
        given = pack_input(args, kwargs)
        results: dict[int, Any] = {}
        _check_inputs(order)
        for node in order:
            name = node._stable_uuid
            results[id(node)] = known[name] if name in known and not node._is_input else node._call(results, given)
        if _ray_cache_refs:
            self._last_refs = {node._stable_uuid: results[id(node)] for node in order}
        return results[id(self)]

    #: Whether the node stands for what `execute` is given.
    _is_input = False

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        """Make this node's call, with the results of those before it, by the nodes' ids."""
        raise NotImplementedError

    def _resolved(self, results: Mapping[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._arguments(lambda node: results[id(node)])

    def clear_cache(self) -> None:
        """Forget what a call of `execute` has kept."""
        self._last_refs = None

    async def get_object_refs_from_last_execute(self) -> dict[str, Any]:
        """What each node gave in the last `execute` that kept it, by the nodes' stable names."""
        return dict(self._last_refs or {})

    def experimental_compile(
        self,
        _submit_timeout: float | None = None,
        _buffer_size_bytes: int | None = None,
        enable_asyncio: bool = False,
        _max_inflight_executions: int | None = None,
        _max_buffered_results: int | None = None,
        _overlap_gpu_communication: bool | None = None,
        _default_communicator: Any = "create",
    ) -> CompiledDAG:
        """Prepare a graph of actors' methods for many executions: values go from process to process without a call.

        Args:
            _submit_timeout: Seconds that `execute` waits for room; None is the context's.
            _buffer_size_bytes: Accepted, and not needed: buffers are as large as what is in them.
            enable_asyncio: Whether executions are started by ``execute_async`` and awaited, instead of ``execute``.
            _max_inflight_executions: How many executions may have results that were not fetched.
            _max_buffered_results: Accepted, and not needed: results that were not fetched count as in flight.
            _overlap_gpu_communication: Accepted, and not needed.
            _default_communicator: Accepted, and not needed.

        Returns:
            The compiled graph; it ends with its `teardown`, with the session, or when nothing refers to it any more.

        Raises:
            ValueError: A graph that cannot be compiled; the message says why.
        """
        from ray_async.dag.compiled.graph import CompiledDAG
        from ray_async.dag.context import DAGContext

        context = DAGContext.get_current()
        limit = context.max_inflight_executions if _max_inflight_executions is None else _max_inflight_executions
        wait_s = context.submit_timeout if _submit_timeout is None else _submit_timeout
        return CompiledDAG(self, enable_asyncio=enable_asyncio, max_inflight_executions=limit, submit_timeout_s=wait_s)

    # -- refusals ------------------------------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"{type(self).__name__} cannot be pickled: a graph is executed by the process that made it.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._label()})"

    def _label(self) -> str:
        """What drawings call the node."""
        return type(self).__name__


def _check_inputs(order: Sequence[DAGNode]) -> None:
    from ray_async.dag.input_node import InputNode

    inputs = [node for node in order if isinstance(node, InputNode)]
    if len(inputs) > 1:
        raise ValueError(
            "Each DAG should only have one unique InputNode: all its nodes must be bound in one with block."
        )
    for node in inputs:
        assert node.was_entered, (
            "InputNode is a singleton instance that should be only used in context manager for dag building and "
            "execution: write `with InputNode() as inp:`."
        )
