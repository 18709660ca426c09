"""Compiled graphs: what they give."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.dag import InputNode, MultiOutputNode
from ray_async.dag.compiled.plan import make_plan
from ray_async.exceptions import RayCgraphCapacityExceeded, RayChannelError, RayChannelTimeoutError
from tests.dag.actors import Async, Worker
from tests.resources import wait_until


def chain(length: int = 3) -> Any:
    """A graph that adds to each of some actors what the one before it gives."""
    with InputNode() as inp:
        dag = inp
        for index in range(length):
            dag = Worker.remote(index).add.bind(dag)
    return dag


def test_executions_follow_each_other() -> None:
    graph = chain().experimental_compile()
    assert [ray.get(graph.execute(1)) for _ in range(3)] == [4, 8, 15]
    graph.teardown()


def test_references_say_what_they_are() -> None:
    graph = chain(1).experimental_compile()
    assert str(graph.execute(1)) == f"CompiledDAGRef({graph.get_id()}, execution_index=0, channel_index=None)"
    graph.teardown()


def test_several_actors_outputs_returns_and_constants() -> None:
    one, other = Worker.remote(), Worker.remote(100)
    with InputNode() as inp:
        low, high = one.split.bind(inp.x)
        dag = MultiOutputNode([other.add.bind(low, y=high), other.combine.bind(high, "constant", key=inp[0]), high])
    graph = dag.experimental_compile()
    for x in range(3):
        assert ray.get(graph.execute("in", x=x))[1:] == [[x + 1, "constant", ("key", "in")], x + 1]
    graph.teardown()


def test_an_output_named_twice() -> None:
    with InputNode() as inp:
        node = Worker.remote().add.bind(inp)
    graph = MultiOutputNode([node, node]).experimental_compile()
    assert [ray.get(graph.execute(1)), ray.get(graph.execute(1))] == [[1, 1], [2, 2]]
    graph.teardown()


def test_a_value_that_the_driver_and_two_actors_read() -> None:
    one, other, third = Worker.remote(), Worker.remote(10), Worker.remote(20)
    with InputNode() as inp:
        x = one.add.bind(inp)
        dag = MultiOutputNode([x, other.add.bind(x), third.add.bind(x), one.add.bind(x)])
    graph = dag.experimental_compile()
    assert ray.get(graph.execute(1)) == [1, 11, 21, 2]
    assert ray.get(graph.execute(1)) == [3, 14, 24, 6]
    graph.teardown()


def test_an_actor_that_takes_nothing_but_constants() -> None:
    one, other = Worker.remote(), Worker.remote()
    with InputNode() as inp:
        dag = one.combine.bind(inp, other.add.bind(1))
    graph = dag.experimental_compile()
    assert [ray.get(graph.execute(0)), ray.get(graph.execute(0))] == [[0, 1], [0, 2]]
    graph.teardown()


def test_large_arrays_pass_without_a_copy_for_each_reader() -> None:
    with InputNode() as inp:
        array = Worker.remote().echo.bind(inp)
        dag = MultiOutputNode([array, Worker.remote().writable.bind(array)])
    graph = dag.experimental_compile()
    sent = np.arange(1_000_000)
    for _ in range(25):  # more than there is room for in the rings
        received, writable = ray.get(graph.execute(sent))
        assert (received == sent).all()
        assert writable is False
        del received
    graph.teardown()


def test_the_actor_takes_other_calls_meanwhile() -> None:
    worker = Worker.remote(1)
    with InputNode() as inp:
        graph = worker.add.bind(inp).experimental_compile()
    assert ray.get(graph.execute(1)) == 2
    assert ray.get(worker.add.remote(1)) == 3
    graph.teardown()


def test_results_in_another_order() -> None:
    graph = chain(1).experimental_compile()
    first, second = graph.execute(1), graph.execute(1)
    assert [ray.get(second), ray.get(first)] == [2, 1]
    graph.teardown()


def test_a_result_is_given_once() -> None:
    graph = chain(1).experimental_compile()
    ref = graph.execute(1)
    assert ref.get() == 1
    with pytest.raises(ValueError, match="once"):
        ray.get(ref)
    graph.teardown()


def test_lists_have_nothing_else_in_them() -> None:
    graph = chain(1).experimental_compile()
    with pytest.raises(ValueError, match="'object_refs' must be a list of CompiledDAGRefs"):
        ray.get([graph.execute(1), ray.put(1)])
    graph.teardown()


def test_a_method_that_fails_and_then_does_not() -> None:
    one, other = Worker.remote(), Worker.remote()
    with InputNode() as inp:
        dag = other.echo.bind(one.fail.bind(inp))
    graph = dag.experimental_compile()
    for _ in range(2):
        with pytest.raises(ValueError, match="2 is even"):
            ray.get(graph.execute(2))
        assert ray.get(graph.execute(1)) == 1
    graph.teardown()


def test_an_output_raises_the_error_of_another_one_at_once(tmp_path: Path) -> None:
    one, other = Worker.remote(), Worker.remote()
    file = tmp_path / "go"
    with InputNode() as inp:
        dag = MultiOutputNode([one.wait_for.bind(inp[0]), other.fail.bind(inp[1])])
    graph = dag.experimental_compile()
    with pytest.raises(ValueError, match="2 is even"):
        ray.get(graph.execute(str(file), 2)[0])  # the first method still waits
    file.touch()
    assert ray.get(graph.execute(str(file), 1)) == [str(file), 1]
    graph.teardown()


@pytest.mark.parametrize(("method", "given", "words"), [("unstorable", 1, "lock"), ("split", -1, "num_returns is 2")])
def test_a_result_that_cannot_be_passed_on(method: str, given: int, words: str) -> None:
    with InputNode() as inp:
        node = getattr(Worker.remote(), method).bind(inp)
    dag = MultiOutputNode([Worker.remote().echo.bind(each) for each in (node if isinstance(node, tuple) else [node])])
    graph = dag.experimental_compile()
    with pytest.raises(ray.exceptions.RayTaskError, match=words):
        ray.get(graph.execute(given))
    graph.teardown()


def test_a_limit_of_time(tmp_path: Path) -> None:
    with InputNode() as inp:
        graph = Worker.remote().wait_for.bind(inp).experimental_compile()
    file = tmp_path / "go"
    ref = graph.execute(str(file))
    with pytest.raises(RayChannelTimeoutError, match="RAY_CGRAPH_get_timeout"):
        ray.get(ref, timeout=0.01)
    file.touch()
    assert ray.get(ref) == str(file)
    graph.teardown()


def test_a_limit_of_executions(tmp_path: Path) -> None:
    file = tmp_path / "go"
    with InputNode() as inp:
        graph = Worker.remote().wait_for.bind(inp).experimental_compile(_max_inflight_executions=2)
    refs = [graph.execute(str(file)) for _ in range(2)]
    with pytest.raises(RayCgraphCapacityExceeded, match="can't have more than 2 in-flight executions"):
        graph.execute(str(file))
    file.touch()
    assert ray.get(refs) == [str(file)] * 2
    assert ray.get(graph.execute(str(file))) == str(file)
    graph.teardown()


def test_results_that_nobody_wants_make_room() -> None:
    with InputNode() as inp:
        worker = Worker.remote()
        dag = MultiOutputNode([worker.add.bind(inp), worker.echo.bind(inp)])
    graph = dag.experimental_compile(_max_inflight_executions=2)
    for _ in range(10):
        graph.execute(1)
    assert ray.get(graph.execute(1)) == [11, 1]
    graph.teardown()


async def test_asyncio() -> None:
    with InputNode() as inp:
        worker = Worker.remote()
        dag = MultiOutputNode([worker.add.bind(inp), Worker.remote().fail.bind(inp)])
    graph = dag.experimental_compile(enable_asyncio=True)
    with pytest.raises(ValueError, match="execute_async"):
        graph.execute(1)
    futures = [await graph.execute_async(1) for _ in range(5)]
    assert [await asyncio.gather(*pair) for pair in reversed(futures)] == [[n, 1] for n in (5, 4, 3, 2, 1)]
    failing = await graph.execute_async(2)
    with pytest.raises(ValueError, match="2 is even"):
        await failing[1]
    one = await graph.execute_async(1)
    assert await one[1] == 1
    with pytest.raises(ValueError, match="once"):
        await one[1]
    await asyncio.to_thread(graph.teardown)


async def test_asyncio_has_the_same_limit(tmp_path: Path) -> None:
    file = tmp_path / "go"
    with InputNode() as inp:
        dag = Worker.remote().wait_for.bind(inp)
    graph = dag.experimental_compile(enable_asyncio=True, _max_inflight_executions=1)
    future = await graph.execute_async(str(file))
    with pytest.raises(RayCgraphCapacityExceeded):
        await graph.execute_async(str(file))
    file.touch()
    assert await future == str(file)
    await asyncio.to_thread(graph.teardown)


def test_coroutine_methods_run_on_the_actors_own_loop() -> None:
    actor = Async.remote()
    with InputNode() as inp:
        graph = actor.rendezvous.bind(actor.echo.bind(inp)).experimental_compile()
    ref = graph.execute(1)
    ray.get(actor.release.remote())
    assert ray.get(ref) == 1
    graph.teardown()


def test_a_graph_inside_an_actor() -> None:
    @ray.remote(num_cpus=0)
    class Replica:
        def __init__(self) -> None:
            with InputNode() as inp:
                self.graph = Worker.remote().add.bind(inp).experimental_compile()

        def call(self, x: int) -> int:
            result: int = ray.get(self.graph.execute(x))
            return result

    replica = Replica.remote()
    assert [ray.get(replica.call.remote(1)), ray.get(replica.call.remote(1))] == [1, 2]


def test_an_actor_in_two_graphs() -> None:
    worker = Worker.remote()
    graphs = []
    for _ in range(2):
        with InputNode() as inp:
            graphs.append(worker.add.bind(inp).experimental_compile())
    assert [ray.get(graph.execute(1)) for graph in graphs * 2] == [1, 2, 3, 4]
    graphs[0].teardown()
    assert ray.get(graphs[1].execute(1)) == 5
    graphs[1].teardown()


def test_teardown() -> None:
    worker = Worker.remote()
    with InputNode() as inp:
        dag = worker.add.bind(inp)
    graph = dag.experimental_compile()
    with pytest.raises(ValueError, match="multiple times"):
        dag.experimental_compile()
    graph.teardown()
    graph.teardown()
    assert graph.is_teardown
    with pytest.raises(RayChannelError, match="torn down"):
        graph.execute(1)
    assert ray.get(worker.add.remote(1)) == 1


def test_a_graph_that_nobody_refers_to_ends() -> None:
    graph = chain(1).experimental_compile()
    assert ray.get(graph.execute(1)) == 1
    life = graph._life
    del graph
    gc.collect()
    with pytest.raises(RayChannelError):
        life.check()
    ended = [member.ended for member in life.members]
    assert ray.wait(ended, num_returns=1, timeout=60)[0] == ended


def test_a_method_that_does_not_return_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray_async.dag import DAGContext

    file = tmp_path / "go"
    with InputNode() as inp:
        graph = Worker.remote().wait_for.bind(inp).experimental_compile()
    ref = graph.execute(str(file))
    wait_until((tmp_path / "go.begun").exists)
    monkeypatch.setattr(DAGContext.get_current(), "teardown_timeout", 0.01)
    with pytest.raises(RayChannelTimeoutError, match="still run a method"):
        graph.teardown()
    with pytest.raises(RayChannelError, match="torn down"):
        ray.get(ref)
    file.touch()


def test_drawings(tmp_path: Path) -> None:
    graph = chain(2).experimental_compile()
    assert "Worker.add <- 1" in graph.visualize(format="ascii")
    source = graph.visualize(str(tmp_path / "drawing"), format="dot", channel_details=True)
    assert (tmp_path / "drawing.dot").read_text() == source
    assert 'label="object"' in source
    graph.teardown()


def test_numbers_of_arguments_are_checked() -> None:
    with InputNode() as inp:
        graph = Worker.remote().combine.bind(inp[1], inp.x).experimental_compile()
    with pytest.raises(ValueError, match="must be called with 2 positional args, got 1"):
        graph.execute(1, x=1)
    with pytest.raises(ValueError, match="must be called with kwarg `x`"):
        graph.execute(1, 2)
    assert ray.get(graph.execute(1, 2, x=3)) == [2, 3]
    graph.teardown()


@ray.remote
def task(x: int) -> int:
    return x


def whole_and_part() -> Any:
    worker = Worker.remote()
    with InputNode() as inp:
        return worker.combine.bind(inp, inp[0])


def leaf() -> Any:
    worker = Worker.remote()
    with InputNode() as inp:
        worker.add.bind(inp)
        return worker.add.bind(inp)


def inside(wrap: Any) -> Any:
    with InputNode() as inp:
        return Worker.remote().echo.bind(wrap(inp))


class Holder:
    def __init__(self, node: Any) -> None:
        self.node = node


def no_input() -> Any:
    return Worker.remote().add.bind(1)


def of_task() -> Any:
    with InputNode() as inp:
        return task.bind(inp)


def input_as_output() -> Any:
    with InputNode() as inp:
        return MultiOutputNode([inp])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (whole_and_part, "must either use InputNode"),
        (leaf, "There are 1 leaf nodes"),
        (lambda: inside(lambda node: [node]), "Found 1 DAGNodes from the arg"),
        (lambda: inside(lambda node: {"x": (node,)}), "Found 1 DAGNodes from the arg"),
        (lambda: inside(Holder), "Found 1 DAGNodes from the arg"),
        (no_input, "one InputNode"),
        (of_task, "methods of actors that exist"),
        (lambda: Worker.bind().add.bind(1), "methods of actors that exist"),
        (input_as_output, "Each output"),
    ],
)
def test_graphs_that_cannot_be_compiled(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make().experimental_compile()


def test_each_actors_calls_are_planned_in_the_order_of_bind() -> None:
    one, other = Worker.remote(), Worker.remote()
    with InputNode() as inp:
        a = one.add.bind(inp)
        b = other.echo.bind(a)
        c = one.echo.bind(b)
    plan = make_plan(c)
    assert [[step.label for step in actor.steps] for actor in plan.actors] == [
        ["Worker.add", "Worker.echo"],
        ["Worker.echo"],
    ]
    assert plan.channel_readers == [1, 0]
