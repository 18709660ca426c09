"""Three machines, each with a network of its own where the tests may make such."""

import sys
from collections.abc import Iterator

import pytest

from tests.cluster.machines import LOOPBACK, Machine, Network


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Machine], str]]:
    """Three machines that have joined, and the head's address."""
    folder = tmp_path_factory.mktemp("m", numbered=True)
    try:
        network: Network | None = Network(folder, 3)
    except PermissionError:
        network = None
    machines = network.machines if network is not None else [Machine(folder / str(n), LOOPBACK) for n in range(3)]
    try:
        address, credentials = machines[0].start_head("--num-cpus=1")
        for number, machine in enumerate(machines[1:], 1):
            machine.join(address, credentials, "--num-cpus=2", f'--resources={{"m{number}": 1}}')
        yield machines, address
    finally:
        for machine in reversed(machines):
            machine.stop()
        if network is not None:
            network.close()


PROGRAM = """
import ray_async as ray

ray.init()

@ray.remote(num_cpus=0)
def address():
    return ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address()

names = [{}, {"m1": 1}, {"m2": 1}]
found = ray.get([address.options(resources=name).remote() for name in names])
assert len({node for node, _ in found}) == 3, found
print(*[ip for _, ip in found])
"""


def test_tasks_on_each_machine(cluster: tuple[list[Machine], str]) -> None:
    machines, address = cluster
    for machine in machines[:1]:
        ran = machine.run(program=PROGRAM, RAY_ADDRESS=address)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.split() == [other.address for other in machines]


def said_by_program(output: str) -> list[str]:
    """What a program prints itself: its workers' lines begin with their name, and one may stand for several."""
    return [line for line in output.splitlines() if not line.startswith("(")]


@pytest.mark.parametrize("example", ["ray_basics", "ray_actors"])
def test_programs_give_the_same_as_on_one_machine(cluster: tuple[list[Machine], str], example: str) -> None:
    machines, address = cluster
    command = sys.executable, "-m", f"examples.{example}"
    alone = machines[0].execute(*command, RAY_ADDRESS="local")
    together = machines[0].execute(*command, RAY_ADDRESS=address)
    assert together.returncode == 0, together.stderr
    assert said_by_program(together.stdout) == said_by_program(alone.stdout) != []
