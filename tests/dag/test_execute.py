"""Graphs that are written down with bind, and made with execute."""

from __future__ import annotations

from typing import Any

import pytest

import ray_async as ray
from ray_async.dag import (
    PARENT_CLASS_NODE_KEY,
    PREV_CLASS_METHOD_CALL_KEY,
    ClassMethodNode,
    DAGNode,
    FunctionNode,
    InputNode,
    MultiOutputNode,
    plot,
)
from tests.dag.actors import Worker


@ray.remote
def add(x: int, y: int = 0) -> int:
    return x + y


@ray.remote
def total(values: dict[str, list[ray.ObjectRef[int]]]) -> int:
    return sum(ray.get(values["in"]))


def test_results_are_passed_on() -> None:
    assert ray.get(add.bind(add.bind(1, 2), y=add.bind(3)).execute()) == 6


def test_options_of_the_call_are_kept() -> None:
    assert add.options(num_cpus=2, name="sum").bind(1).get_options() == {"num_cpus": 2, "name": "sum"}


async def test_a_graph_is_awaited() -> None:
    with InputNode() as inp:
        dag = add.bind(add.bind(inp, 1), 1)
    assert await dag.execute(1) == 3


def test_a_shared_node_runs_once() -> None:
    counter = Worker.bind()
    shared = counter.add.bind(1)
    assert ray.get(MultiOutputNode([add.bind(shared), add.bind(shared)]).execute()) == [1, 1]


def test_nodes_inside_containers_are_resolved() -> None:
    assert ray.get(total.bind({"in": [add.bind(1), add.bind(2)]}).execute()) == 3


def test_an_argument_without_nodes_is_not_copied() -> None:
    given = [1, 2]
    assert add.bind(given).get_args()[0] is given


def test_the_input_is_taken_by_index_by_key_and_by_name() -> None:
    worker = Worker.remote()
    with InputNode() as inp:
        dag = worker.combine.bind(inp[0], inp.x, inp["y"])
    assert ray.get(dag.execute(1, 5, x=2, y=3)) == [1, 2, 3]
    with InputNode() as inp:
        dag = worker.combine.bind(inp["x"], inp["y"])
    assert ray.get(dag.execute({"x": 1, "y": 2})) == [1, 2]


def test_an_actor_is_made_for_each_execution_and_its_calls_are_in_the_order_of_bind() -> None:
    actor = Worker.bind(10)
    first = actor.add.bind(1)
    last = actor.add.options(name="last").bind(2)
    assert [ray.get(last.execute()), ray.get(last.execute())] == [13, 13]
    assert last.get_options() == {"name": "last"}
    others = last.get_other_args_to_resolve()
    assert others[PARENT_CLASS_NODE_KEY] is actor
    assert others[PREV_CLASS_METHOD_CALL_KEY] is first


def test_an_actor_that_exists_keeps_its_state_and_outlives_its_handle() -> None:
    actor = Worker.remote(1)
    dag = actor.add.bind(1)
    del actor
    assert [ray.get(dag.execute()), ray.get(dag.execute())] == [2, 3]


def test_each_return_is_a_node() -> None:
    with InputNode() as inp:
        low, high = Worker.remote().split.bind(inp)
    assert isinstance(high, ClassMethodNode)
    assert high.is_class_method_output
    assert ray.get(high.execute(1)) == 2
    assert ray.get(MultiOutputNode([high, low]).execute(1)) == [2, 1]


def test_results_are_kept_where_that_is_asked_for() -> None:
    worker = Worker.remote()
    dag = worker.add.bind(1)
    first = dag.execute(_ray_cache_refs=True)
    assert dag.execute(_ray_cache_refs=True) == first
    dag.clear_cache()
    assert ray.get(dag.execute(_ray_cache_refs=True)) == 2


async def test_the_last_results_have_the_nodes_names() -> None:
    inner = add.bind(1)
    dag = add.bind(inner, 1)
    dag.execute(_ray_cache_refs=True)
    refs = await dag.get_object_refs_from_last_execute()
    assert await refs[inner.get_stable_uuid()] == 1
    assert await refs[dag.get_stable_uuid()] == 2


def test_a_graph_is_walked_and_replaced() -> None:
    dag = add.bind(add.bind(1), y=add.bind(2))
    seen: list[DAGNode] = []

    def see(node: DAGNode) -> DAGNode:
        seen.append(node)
        return node

    assert dag.traverse_and_apply(see) is dag
    assert len(seen) == 3

    def evaluate(node: DAGNode) -> Any:
        return sum(node.get_args()) + sum(node.get_kwargs().values())

    assert dag.apply_recursive(evaluate) == 3


def test_several_inputs_and_one_outside_a_block_are_refused() -> None:
    with InputNode() as one, InputNode() as other:
        dag = add.bind(one, other)
    with pytest.raises(ValueError, match="one unique InputNode"):
        dag.execute(1)
    with pytest.raises(AssertionError, match="context manager"):
        add.bind(InputNode()).execute(1)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: add.bind(1).bind(), AttributeError, r"\.bind\(\) cannot be used again on FunctionNode"),
        (lambda: add.bind(1).remote(), AttributeError, r"\.remote\(\) cannot be used on"),
        (lambda: Worker.bind().bind(), AttributeError, r"\.bind\(\) cannot be used again on"),
        (lambda: Worker.bind().remote(), AttributeError, "has no attribute 'remote'"),
        (lambda: Worker.bind().add.remote(), AttributeError, r"\.remote\(\) cannot be used on ClassMethodNodes"),
        (lambda: MultiOutputNode(add.bind(1)), ValueError, "a list or a tuple"),  # type: ignore[arg-type]
        (lambda: InputNode()[1.5], ValueError, "indexed by an int or a str"),  # type: ignore[index]
        (lambda: add.bind(1).with_tensor_transport("pigeon"), ValueError, "pigeon"),
    ],
)
def test_misuse(wrong: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        wrong()


def test_a_drawing_says_what_depends_on_what(tmp_path: Any) -> None:
    dag: FunctionNode = add.bind(add.bind(1))
    source = plot(dag, str(tmp_path / "graph.dot"))
    assert source == (tmp_path / "graph.dot").read_text()
    assert "n0 -> n1" in source
