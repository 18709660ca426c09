"""`import ray` as this package: for programs, for the libraries that they import, and in their workers."""

import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import ray_async
from ray_async import cloudpickle, compat, serve
from tests.compat.conftest import RunProgram
from tests.test_source import ROOT

LIBRARY = """
import ray
from ray.util.queue import Queue

@ray.remote
def twice(x):
    import ray.util.state
    return 2 * x, ray.__name__, ray.get_runtime_context().worker.mode == ray.WORKER_MODE
"""

PROGRAM = """
import sys
from importlib import metadata

import ray
import library
import ray_async

@ray.remote
class Counter:
    def __init__(self):
        self.count = 0
    def add(self, n):
        self.count += n
        return self.count, ray.__version__

if __name__ == "__main__":
    assert ray.__version__ == ray_async.RAY_VERSION != ray_async.__version__
    assert metadata.version("ray") == ray.__version__
    assert ray.util is ray_async.util and ray.ObjectRef is ray_async.ObjectRef
    import ray.util.scheduling_strategies as strategies
    assert strategies is ray_async.util.scheduling_strategies
    with ray.init(num_cpus=1):
        print(ray.get(library.twice.remote(21)))
        counter = Counter.remote()
        print(ray.get([counter.add.remote(n) for n in (1, 2)]))
        queue = library.Queue()
        queue.put([ray.put("kept")])
        print(ray.get(queue.get()), sys.argv[1:], __file__.endswith("program.py"))
"""


def test_a_program_and_its_library_run_unchanged(run: RunProgram, tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    done = run(PROGRAM, "--flag", "x")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "(42, 'ray', True)",
        f"[(1, '{ray_async.RAY_VERSION}'), (3, '{ray_async.RAY_VERSION}')]",
        "['kept'] ['--flag', 'x'] True",
    ]


def test_importing_the_module_does_the_same(run: RunProgram, tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    done = run("import ray_async.compat.as_ray\n" + PROGRAM, shim=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3


def test_names_that_clients_use(run: RunProgram) -> None:
    done = run(
        """
import ray
import ray._private.services, ray._private.worker
from ray._private import state
from ray._private.services import get_node_ip_address
from ray._raylet import ObjectRef, ObjectRefGenerator, ActorID
from ray.util.placement_group import placement_group

@ray.remote
class Named:
    def state(self):
        return "on"

with ray.init(num_cpus=2, resources={"disk": 3}):
    assert len(get_node_ip_address().split(".")) == 4
    assert ray._private.worker.global_worker.mode == ray._private.worker.SCRIPT_MODE
    assert ray._private.worker.global_worker.connected
    actor = Named.options(name="one").remote()
    assert ray.get(actor.state.remote()) == "on"
    (row,) = state.actors().values()
    assert (row["ActorClassName"], row["Name"], row["State"]) == ("Named", "one", "ALIVE"), row
    assert state.actors(row["ActorID"]) == row and state.actors("00") == {}
    group = placement_group([{"disk": 1}])
    ray.get(group.ready())
    assert state.placement_group_table(group.id)["state"] == "CREATED"
    assert set(state.placement_group_table()) == {group.id.hex()}
    (node,) = state.node_ids()
    assert state.total_resources_per_node()[node]["disk"] == 3
    assert state.available_resources_per_node()[node]["disk"] == 2
    assert isinstance(ray.put(1), ObjectRef)
print("done")
"""
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_what_is_not_there_is_an_import_error(run: RunProgram) -> None:
    done = run("import ray\ntry:\n    import ray.nothing\nexcept ModuleNotFoundError as e:\n    print(e.name)\n")
    assert (done.stdout, done.returncode) == ("ray.nothing\n", 0)
    done = run("from ray import nothing\n")
    assert "ImportError: cannot import name 'nothing' from 'ray'" in done.stderr
    done = run("import ray\nray.nothing\n")
    assert "AttributeError: module 'ray' has no attribute 'nothing'" in done.stderr


def test_errors_end_the_program_as_without_the_shim(run: RunProgram) -> None:
    done = run("import ray\nraise SystemExit(7)\n")
    assert done.returncode == 7
    done = run("def f():\n    raise KeyError('k')\nf()\n")
    assert done.returncode == 1 and 'program.py", line 2, in f' in done.stderr


def test_a_program_may_be_a_module(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("import sys, ray\nprint(__name__, ray.__version__, sys.argv[1:])\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def shim(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "ray_async.compat", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, env=environment)

    assert shim("-m", "tool", "a").stdout == f"__main__ {ray_async.RAY_VERSION} ['a']\n"
    for arguments, words in (
        (("-m", "no_tool"), "no_tool"),
        (("missing.py",), "can't open"),
        (("-m",), "needs the name"),
    ):
        done = shim(*arguments)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    assert shim().returncode == 2 and "usage" in shim("--help").stdout


def test_nothing_happens_unless_asked(run: RunProgram) -> None:
    done = run(
        "import ray_async, sys\nray_async.util, ray_async.compat\nprint('ray' in sys.modules)\nimport ray\n", shim=False
    )
    assert done.stdout == "False\n"
    assert "No module named 'ray'" in done.stderr


def test_an_import_of_ray_itself_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", sys)
    with pytest.raises(ImportError, match="imported already"):
        compat.install()
    assert not compat.is_installed()


def test_the_alias_can_be_taken_away() -> None:
    compat.install()
    compat.install()
    assert compat.is_installed()
    __import__("ray.util.queue")
    assert sys.modules["ray.util.queue"] is sys.modules["ray_async.util.queue"]
    assert sys.modules["ray_async.util.queue"].__spec__.name == "ray_async.util.queue"  # type: ignore[union-attr]
    compat.uninstall()
    assert not compat.is_installed() and not [name for name in sys.modules if name.split(".")[0] == "ray"]


def test_a_running_session_is_too_late() -> None:
    with ray_async.init(num_cpus=1), pytest.raises(RuntimeError, match="before init"):
        compat.install()
    assert not compat.is_installed()


def test_a_module_does_not_hide_a_function_of_its_name(run: RunProgram) -> None:
    program = """
from ray import serve
from ray.serve.deployment import Deployment
import ray.serve.ingress

@serve.deployment
class Hello: ...

assert isinstance(Hello, Deployment)
assert callable(serve.ingress)
"""
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_alias_of_another_make_hides_no_function_either() -> None:
    for name in ("deployment", "ingress"):
        function = getattr(serve, name)
        module = importlib.import_module(f"ray_async.serve.{name}")
        # As the import system does with what a loader gives out as `ray.serve.NAME`.
        setattr(serve, name, module)
        assert getattr(serve, name) is function and callable(function)
    assert pickle.loads(cloudpickle.dumps(serve)) is serve


def test_a_router_written_for_ray(run: RunProgram, tmp_path: Path) -> None:
    (tmp_path / "routers.py").write_text(
        """
from ray.serve._private.request_router import RequestRouter
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.request_router.replica_wrapper import RunningReplica
from ray.serve._private.request_router.request_router import FIFOMixin

class First(FIFOMixin, RequestRouter):
    async def choose_replicas(self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest = None):
        return [candidate_replicas]
"""
    )
    program = """
import ray
from ray import serve
from ray.serve.config import RequestRouterConfig

@serve.deployment(request_router_config=RequestRouterConfig(request_router_class="routers.First"))
class Hello:
    def __call__(self) -> str:
        return "hello"

ray.init(num_cpus=1)
serve.start(proxy_location="Disabled")
print(serve.run(Hello.bind()).remote().result())
serve.shutdown()
ray.shutdown()
"""
    done = run(program)
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr
