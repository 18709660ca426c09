from typing import Any

import pytest

import ray_async as ray
from ray_async.dag import InputNode
from tests.cluster.hosts import Hosts


class Doubler:
    def double(self, value: int) -> int:
        return 2 * value


def graph_of(actor: Any) -> Any:
    with InputNode() as inp:
        return actor.double.bind(inp)


def test_a_graph_with_an_actor_of_another_machine_is_not_compiled(two_hosts: Hosts) -> None:
    far = ray.remote(resources={"far": 1})(Doubler).remote()  # not there yet when it is looked for
    with pytest.raises(ValueError, match="lives on another machine of the cluster"):
        graph_of(far).experimental_compile()
    assert ray.get(graph_of(far).execute(2)) == 4


def test_a_graph_of_this_machine_is_compiled(two_hosts: Hosts) -> None:
    graph = graph_of(ray.remote(num_cpus=0)(Doubler).remote()).experimental_compile()
    assert ray.get(graph.execute(2)) == 4
    graph.teardown()


def test_a_handle_that_came_from_another_machine(two_hosts: Hosts) -> None:
    @ray.remote(resources={"far": 1})
    def compile_there(actors: list[Any]) -> str:
        try:
            graph_of(actors[0]).experimental_compile()
        except ValueError as error:
            return str(error)
        return "compiled"

    near = ray.remote(num_cpus=0)(Doubler).remote()
    assert "lives on another machine of the cluster" in ray.get(compile_there.remote([near]))
