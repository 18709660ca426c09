"""Graphs of calls: written down with ``bind``, made with ``execute``, or compiled for many executions.

Arguments of a bound call may be nodes, whose results are passed on. `InputNode` stands for what `execute` is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.submodules import exported

if TYPE_CHECKING:
    from ray_async.dag.class_node import ClassMethodNode, ClassNode
    from ray_async.dag.compiled.graph import CompiledDAG
    from ray_async.dag.context import DAGContext
    from ray_async.dag.function_node import FunctionNode
    from ray_async.dag.input_node import DAGInputData, InputAttributeNode, InputNode
    from ray_async.dag.keys import (
        BIND_INDEX_KEY,
        IS_CLASS_METHOD_OUTPUT_KEY,
        PARENT_CLASS_NODE_KEY,
        PREV_CLASS_METHOD_CALL_KEY,
    )
    from ray_async.dag.node import DAGNode
    from ray_async.dag.output_node import MultiOutputNode
    from ray_async.dag.plot import plot

__all__ = (
    "BIND_INDEX_KEY",
    "IS_CLASS_METHOD_OUTPUT_KEY",
    "PARENT_CLASS_NODE_KEY",
    "PREV_CLASS_METHOD_CALL_KEY",
    "ClassMethodNode",
    "ClassNode",
    "CompiledDAG",
    "DAGContext",
    "DAGInputData",
    "DAGNode",
    "FunctionNode",
    "InputAttributeNode",
    "InputNode",
    "MultiOutputNode",
    "plot",
)

_MODULES = {
    "class_node": ("ClassMethodNode", "ClassNode"),
    "compiled.graph": ("CompiledDAG",),
    "context": ("DAGContext",),
    "function_node": ("FunctionNode",),
    "input_node": ("DAGInputData", "InputAttributeNode", "InputNode"),
    "keys": ("BIND_INDEX_KEY", "IS_CLASS_METHOD_OUTPUT_KEY", "PARENT_CLASS_NODE_KEY", "PREV_CLASS_METHOD_CALL_KEY"),
    "node": ("DAGNode",),
    "output_node": ("MultiOutputNode",),
    "plot": ("plot",),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    return exported(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
