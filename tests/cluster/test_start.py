import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_async.cluster.security import create_credentials
from tests.cluster.machines import LOOPBACK, Machine


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Machine]]:
    folder = tmp_path_factory.mktemp("m", numbered=True)
    made = Machine(folder / "a"), Machine(folder / "b")
    yield made
    for machine in reversed(made):
        machine.stop()


PROGRAM = """
import ray_async as ray

ray.init(address="{address}")

@ray.remote(resources={{"far": 1}})
def where():
    return ray.get_runtime_context().get_node_id()

assert ray.get(where.remote()) != ray.get_runtime_context().get_node_id()
print("ran elsewhere")
"""


def test_two_machines(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    address, credentials = one.start_head("--num-cpus=1")
    two.join(address, credentials, "--num-cpus=1", '--resources={"far": 1}')
    ran = one.run(program=PROGRAM.format(address=address))
    assert "ran elsewhere" in ran.stdout, ran.stderr
    assert "2.0 CPU" in one.run("status").stdout


def test_strangers_are_refused_in_a_sentence(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, two = machines
    address, _ = one.start_head("--num-cpus=1")
    create_credentials(tmp_path / "strange.json")
    refused = two.run("start", f"--address={address}", f"--cluster-credentials={tmp_path / 'strange.json'}")
    assert refused.returncode == 1
    assert "not the head of this cluster" in refused.stderr
    assert "Did not find" in two.run("stop").stdout  # nothing is left of the try


def test_nobody_listens(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    _, two = machines
    create_credentials(tmp_path / "cluster.json")
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind((LOOPBACK, 0))
        address = f"{LOOPBACK}:{closed.getsockname()[1]}"
        refused = two.run("start", f"--address={address}", f"--cluster-credentials={tmp_path / 'cluster.json'}")
    assert refused.returncode == 1
    assert f"no head of a cluster listens at {address}" in refused.stderr


def test_a_taken_port(machines: tuple[Machine, Machine]) -> None:
    one, _ = machines
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = one.run("start", "--head", "--cluster", f"--node-ip-address={LOOPBACK}", f"--port={port}")
    assert refused.returncode == 1
    assert f"{LOOPBACK}:{port}" in refused.stderr and "--port" in refused.stderr


def test_one_machine_opens_no_port(machines: tuple[Machine, Machine]) -> None:
    one, _ = machines
    program = "import sys, ray_async as ray; ray.init(num_cpus=1); f = ray.remote(lambda: sorted(sys.modules))\n"
    program += (
        "names = [*ray.get(f.remote()), *sys.modules]; print([n for n in names if 'distributed' in n or 'dask' in n])"
    )
    assert one.run(program=program).stdout.strip() == "[]"
