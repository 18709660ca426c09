"""Conditions that a graph must meet to be compiled."""

from __future__ import annotations

from collections.abc import Sequence

from ray_async.dag.class_node import ClassMethodNode
from ray_async.dag.input_node import InputAttributeNode, InputNode
from ray_async.dag.node import DAGNode
from ray_async.dag.output_node import MultiOutputNode

__all__ = ("check_graph",)


def check_graph(root: DAGNode) -> list[DAGNode]:
    """Check a graph.

    Returns:
        Its nodes, each behind those that it depends on.

    Raises:
        ValueError: It cannot be compiled; the message says why, and what to do.
    """
    order = root._in_order()
    _check_kinds(root, order)
    _check_arguments(order)
    _check_input(order)
    _check_leaves(root)
    return order


def _check_kinds(root: DAGNode, order: Sequence[DAGNode]) -> None:
    for node in order:
        if isinstance(node, MultiOutputNode) and node is not root:
            raise ValueError("A compiled graph can have a MultiOutputNode only as its last node.")
        if isinstance(node, ClassMethodNode) and (node.is_class_method_output or node._method is not None):
            continue
        if not isinstance(node, (InputNode, InputAttributeNode, MultiOutputNode)):
            raise ValueError(
                f"A compiled graph has methods of actors that exist already, and {node!r} is no such method: "
                "create the actor with .remote(), and bind the methods of its handle."
            )
    outputs = root.get_args() if isinstance(root, MultiOutputNode) else (root,)
    for output in outputs:
        if not isinstance(output, ClassMethodNode):
            raise ValueError(f"Each output of a compiled graph is a method of an actor, and not {output!r}.")


def _check_arguments(order: Sequence[DAGNode]) -> None:
    for node in order:
        for place, nested in node._nested:
            arg = node.get_args()[place] if isinstance(place, int) else node.get_kwargs()[place]
            raise ValueError(
                f"Found {len(nested.nodes)} DAGNodes from the arg {arg!r} in {node!r}. Please ensure that the argument "
                "is a single DAGNode and that a DAGNode is not allowed to be placed inside any type of container."
            )


def _check_input(order: Sequence[DAGNode]) -> None:
    inputs = [node for node in order if isinstance(node, InputNode)]
    if len(inputs) != 1:
        raise ValueError(f"A compiled graph has one InputNode, and this one has {len(inputs)}.")
    whole = any(inputs[0] in node._upstream for node in order if not isinstance(node, InputAttributeNode))
    if whole and any(isinstance(node, InputAttributeNode) for node in order):
        raise ValueError(
            "All tasks must either use InputNode() directly, or they must index to specific args or kwargs."
        )


def _check_leaves(root: DAGNode) -> None:
    """Refuse calls whose results nobody takes: what they raise would be lost."""
    seen: dict[int, DAGNode] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            pending += [*node._dependencies(), *node._downstream]
    leaves = [n for n in seen.values() if isinstance(n, ClassMethodNode) and not n._downstream and n is not root]
    if leaves:
        raise ValueError(
            "Compiled DAG doesn't support leaf nodes, i.e., nodes that don't have downstream nodes and are not output "
            f"nodes. There are {len(leaves)} leaf nodes in the DAG. Please add the outputs of "
            f"{[leaf._label() for leaf in leaves]} to the MultiOutputNode."
        )
