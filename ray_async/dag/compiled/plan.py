"""The plan of a compiled graph: what each actor does in one execution, and who sends what to whom.

Everything here is pure: nodes go in, plain values come out.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from ray_async.dag.checks import check_graph
from ray_async.dag.class_node import ClassMethodNode
from ray_async.dag.input_node import InputAttributeNode, InputNode
from ray_async.dag.node import DAGNode
from ray_async.dag.output_node import MultiOutputNode

__all__ = ("ActorPlan", "GraphPlan", "Load", "Step", "StepOutput", "make_plan")


@dataclass
class Load:
    """A value that comes from another process.

    Args:
        slot: Where in the actor's frame it goes.
        word: Which value of the driver's message it is; -1 where it comes from an actor.
        channel: Which of the actor's inbound channels it comes through; -1 where it comes from the driver.
    """

    slot: int
    word: int = -1
    channel: int = -1


@dataclass
class StepOutput:
    """A value that a step gives.

    Args:
        slot: Where in the actor's frame it goes.
        promise: Which value of the driver's message stands for it; -1 where the driver does not want it.
        channels: The actor's outbound channels that it goes through.
    """

    slot: int
    promise: int = -1
    channels: list[int] = field(default_factory=list)


@dataclass
class Step:
    """One call of a method.

    Args:
        method: Its name.
        label: What errors call it.
        loads: What must be received first.
        args: Slots of the positional arguments.
        kwargs: Slots of the keyword arguments.
        outputs: One for the result, or one for each return that something takes, by its index.
        returns: How many values the method gives; 1 for the result as it is.
    """

    method: str
    label: str
    loads: list[Load]
    args: list[int]
    kwargs: dict[str, int]
    outputs: dict[int, StepOutput]
    returns: int


@dataclass
class ActorPlan:
    """What one actor does.

    Args:
        core: The actor.
        steps: Its calls, in order.
        constants: Arguments that are no nodes, by slot.
        slots: Size of the frame.
        words: What the driver's message has: a key of the input, or a number of an output that the actor is to keep.
        inbound: For each channel that the actor reads, its number in the graph.
        outbound: For each channel that the actor writes, its number in the graph.
    """

    core: Any
    steps: list[Step] = field(default_factory=list)
    constants: dict[int, Any] = field(default_factory=dict)
    slots: int = 0
    words: list[Hashable] = field(default_factory=list)
    inbound: list[int] = field(default_factory=list)
    outbound: list[int] = field(default_factory=list)

    def new_slot(self) -> int:
        """A place in the frame."""
        self.slots += 1
        return self.slots - 1

    def word(self, key: Hashable) -> int:
        """The place of something in the driver's message."""
        if key not in self.words:
            self.words.append(key)
        return self.words.index(key)


@dataclass
class GraphPlan:
    """What all do.

    Args:
        actors: One plan for each actor.
        outputs: For each output of the graph, the number of its value: an output may be named twice.
        promises: How many different values the graph gives.
        channel_readers: For each channel from actor to actor, the number of the actor that reads it.
        positional: How many positional arguments an execution takes; None where the input is taken as a whole.
        keywords: Names of its keyword arguments.
        multiple: Whether the graph gives a list.
        nodes: All nodes, for drawings.
    """

    actors: list[ActorPlan]
    outputs: list[int]
    promises: int
    channel_readers: list[int]
    positional: int | None
    keywords: list[str]
    multiple: bool
    nodes: list[DAGNode]


#: The word of a message that only says that an execution begins.
BEGIN = ("begin",)


class _Planner:
    def __init__(self, root: DAGNode, nodes: list[DAGNode]) -> None:
        wanted = list(root.get_args()) if isinstance(root, MultiOutputNode) else [root]
        self.outputs: list[int] = []
        self._promises: dict[int, int] = {}  # by the node's id
        for node in wanted:
            self.outputs.append(self._promises.setdefault(id(node), len(self._promises)))
        self.promises = len(self._promises)
        self._nodes = nodes
        self.actors: list[ActorPlan] = []
        self._by_actor: dict[Any, int] = {}
        self._by_node: dict[int, int] = {}  # which actor makes a node's value
        self._local: list[dict[int, int]] = []  # for each actor, slots by the node's id
        self._made: dict[int, StepOutput] = {}
        self.channel_readers: list[int] = []

    def plan(self) -> None:
        calls = [n for n in self._nodes if isinstance(n, ClassMethodNode) and not n.is_class_method_output]
        for call in sorted(calls, key=lambda node: node.bind_index):
            self._add(call)
        for actor in self.actors:
            fed = {load.word for step in actor.steps for load in step.loads if load.word >= 0}
            if not actor.words and not actor.inbound and not fed:
                actor.word(BEGIN)

    def _add(self, call: ClassMethodNode) -> None:
        number = self._number_of(call)
        actor, local = self.actors[number], self._local[number]
        loads: list[Load] = []
        args = [self._slot(number, value, loads) for value in call.get_args()]
        kwargs = {name: self._slot(number, value, loads) for name, value in call.get_kwargs().items()}
        returns = [n for n in self._nodes if isinstance(n, ClassMethodNode) and n.is_output_of(call)] or [call]
        outputs = {}
        for node in returns:
            slot = local[id(node)] = actor.new_slot()
            promise = self._promises.get(id(node))
            output = StepOutput(slot, -1 if promise is None else actor.word(promise))
            outputs[node.output_index if node is not call else 0] = self._made[id(node)] = output
            self._by_node[id(node)] = number
        label = call._label()
        actor.steps.append(Step(call.get_method_name(), label, loads, args, kwargs, outputs, call.num_returns))

    def _number_of(self, call: ClassMethodNode) -> int:
        core = call._method._core
        if core.actor_id not in self._by_actor:
            self._by_actor[core.actor_id] = len(self.actors)
            self.actors.append(ActorPlan(core))
            self._local.append({})
        return self._by_actor[core.actor_id]

    def _slot(self, number: int, value: Any, loads: list[Load]) -> int:
        actor, local = self.actors[number], self._local[number]
        if not isinstance(value, DAGNode):
            slot = actor.new_slot()
            actor.constants[slot] = value
            return slot
        if id(value) in local:
            return local[id(value)]
        slot = local[id(value)] = actor.new_slot()
        if isinstance(value, (InputNode, InputAttributeNode)):
            key = ("input", value.key if isinstance(value, InputAttributeNode) else None)
            loads.append(Load(slot, word=actor.word(key)))
            return slot
        writer = self.actors[self._by_node[id(value)]]
        self._made[id(value)].channels.append(len(writer.outbound))
        loads.append(Load(slot, channel=len(actor.inbound)))
        writer.outbound.append(len(self.channel_readers))
        actor.inbound.append(len(self.channel_readers))
        self.channel_readers.append(number)
        return slot


def make_plan(root: DAGNode) -> GraphPlan:
    """Plan a graph.

    Raises:
        ValueError: It cannot be compiled.
    """
    nodes = check_graph(root)
    planner = _Planner(root, nodes)
    planner.plan()
    keys = [node.key for node in nodes if isinstance(node, InputAttributeNode)]
    numbers = [key for key in keys if isinstance(key, int)]
    return GraphPlan(
        actors=planner.actors,
        outputs=planner.outputs,
        promises=planner.promises,
        channel_readers=planner.channel_readers,
        positional=max(numbers, default=-1) + 1 if keys else None,
        keywords=sorted({key for key in keys if isinstance(key, str)}),
        multiple=isinstance(root, MultiOutputNode),
        nodes=nodes,
    )
