"""What workers have by the zygote."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.runtime.start import zygote

TIMEOUT_S = 60
PROGRAM = """
import sys
import ray_async.runtime.start.node_entry, ray_async.runtime.start.zygote
for name in {names}:
    __import__(name)
print(*sys.modules)
"""


@ray.remote
def imported() -> set[str]:
    return set(sys.modules)


def test_workers_import_nothing_that_they_could_share() -> None:
    program = PROGRAM.format(names=(*zygote._FIRST_MODULES, *zygote._WARM_MODULES))
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    with ray.init("local", num_cpus=1):
        own = ray.get(imported.remote(), timeout=TIMEOUT_S) - set(run.stdout.split())
    assert sorted(name for name in own if name.startswith("ray_async.runtime")) == []


PRELOADING = """
import sys
import ray_async as ray

names = ["html.parser", "with_thread", "no_such_module", "exits", "forks"]

@ray.remote(num_cpus=0)
class Sibling:
    def has(self):
        return [name in sys.modules for name in names]

with ray.init(num_cpus=1, preload=names[:2], _system_config={"preload_python_modules": names[1:]}):
    print(ray.get([sibling.has.remote() for sibling in [Sibling.remote() for _ in range(3)]]))
"""


def run_program(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    run = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    return run


def test_workers_have_what_is_preloaded(tmp_path: Path) -> None:
    code = "import threading\nthreading.Thread(target=threading.Event().wait, name='mine', daemon=True).start()\n"
    (tmp_path / "with_thread.py").write_text(code)
    (tmp_path / "exits.py").write_text("import sys; sys.exit('not for import')")
    (tmp_path / "forks.py").write_text("import os\nif os.fork(): os.wait()")
    run = run_program(PRELOADING, tmp_path)
    assert run.stdout.strip() == str([[True, True, False, False, True]] * 3)
    assert "preloading: no_such_module cannot be imported: ModuleNotFoundError" in run.stderr
    assert "preloading: exits cannot be imported: SystemExit('not for import')" in run.stderr
    assert run.stderr.count("has started threads") == 1
    assert "preloading: with_thread has started threads (mine)" in run.stderr


LATER = """
import sys
import ray_async as ray

@ray.remote(num_cpus=0)
class Sibling:
    def let_go(self, path):
        open(path, "w").close()

    def has(self, name):
        return name in sys.modules

def one_has(name):  # of several workers: some are forked ahead, and they come up in any order
    siblings = []  # kept: each has a worker of its own
    while len(siblings) < 8:
        siblings.append(Sibling.remote())
        if ray.get(siblings[-1].has.remote(name), timeout=60):
            return True
    return False

with ray.init(num_cpus=1, preload=["first"]):
    ray.get(Sibling.remote().let_go.remote(sys.argv[1]), timeout=60)
    print(*map(one_has, ("later", "last", "ray_async.runtime.worker.hosts.async_host", "no_such_module")))
"""


def test_what_a_preloaded_module_names_is_imported_after_the_first_worker(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "first.py").write_text("__preload_next__ = ('later',)")
    # Which waits for a worker.
    (tmp_path / "later.py").write_text(f"__preload_next__ = ('last',)\nopen({str(gate)!r}).close()")
    (tmp_path / "last.py").touch()
    program = tmp_path / "program.py"
    program.write_text(LATER)
    run = subprocess.run([sys.executable, program, gate], capture_output=True, text=True, timeout=100, check=True)
    assert run.stdout.split() == ["True", "True", "True", "False"]


COMPUTING = """
import sys
import ray_async as ray

@ray.remote
def compute():
    import computes
    return computes.compute(), "computes" in sys.modules

with ray.init(num_cpus=2, preload=["pandas", "pyarrow.compute", "computes"]):
    print(ray.get(compute.remote(), timeout=90))
"""
#: A pool of threads that Python knows, for which a forked copy of the executor waits for ever, and a native one.
POOLS = {
    "ThreadPoolExecutor-0_0": """
from concurrent.futures import ThreadPoolExecutor

executor = ThreadPoolExecutor(1)

def compute():
    return executor.submit(int, "100000").result()
""",
    "ray::zygote": """
import pyarrow, pyarrow.compute

def compute():
    table = pyarrow.table({"a": list(range(100000))})
    return table.group_by("a").aggregate([([], "count_all")]).num_rows
""",
}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("thread", POOLS)
def test_a_module_that_has_computed_is_left_to_the_workers(thread: str, used: bool, tmp_path: Path) -> None:
    """Libraries that were only imported work after a fork, and are nothing to be warned of."""
    (tmp_path / "computes.py").write_text(f"{POOLS[thread]}\nif {used}:\n    compute()\n")
    run = run_program(COMPUTING, tmp_path)
    assert run.stdout.strip() == "(100000, True)"
    assert (f"preloading: computes has started threads ({thread}" in run.stderr) is used
    assert run.stderr.count("preloading:") == used


BLAS = """
import ray_async as ray
from tests.blas import n_threads

@ray.remote
class Actor:
    def n_threads(self):
        return n_threads()

with ray.init(num_cpus=2, preload=["numpy"]):
    task = ray.remote(n_threads)
    refs = [task.options(num_cpus=n).remote() for n in (1, 2, 1, 2)]
    refs.append(Actor.options(num_cpus=2).remote().n_threads.remote())
    print(*ray.get(refs, timeout=90))
"""


def test_blas_threads_follow_num_cpus_with_numpy_preloaded() -> None:
    several = min(2, len(os.sched_getaffinity(0)))
    assert run_program(BLAS, Path(__file__).parents[3]).stdout.split() == [
        "1",
        str(several),
        "1",
        str(several),
        str(several),
    ]


@pytest.mark.parametrize("names", ["html.parser", {"html.parser": 1}, [1]])
def test_preloaded_modules_are_a_list_of_names(names: Any) -> None:
    with pytest.raises(ValueError, match="preload_python_modules"):
        ray.init("local", _system_config={"preload_python_modules": names})
    assert not ray.is_initialized()


@pytest.mark.parametrize("names", ["html.parser", [1]])
def test_the_option_preload_is_a_list_of_names(names: Any) -> None:
    with pytest.raises(TypeError, match="preload"):
        ray.init("local", preload=names)
    assert not ray.is_initialized()
