"""What workers have by the zygote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.runtime import zygote

TIMEOUT_S = 60
PROGRAM = """
import sys
import ray_async.runtime.boot, ray_async.runtime.zygote
for name in {names}:
    __import__(name)
print(*sys.modules)
"""


@ray.remote
def imported() -> set[str]:
    return set(sys.modules)


def test_workers_import_nothing_that_they_could_share() -> None:
    program = PROGRAM.format(names=(*zygote._FIRST, *zygote._WARM))
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    with ray.init("local", num_cpus=1):
        own = ray.get(imported.remote(), timeout=TIMEOUT_S) - set(run.stdout.split())
    assert sorted(name for name in own if name.startswith("ray_async.runtime")) == []


PRELOADING = """
import sys
import ray_async as ray

@ray.remote(num_cpus=0)
class Sibling:
    def has(self):
        return [name in sys.modules for name in ("html.parser", "with_thread", "no_such_module", "exits")]

names = ["html.parser", "with_thread", "no_such_module", "exits"]
with ray.init(num_cpus=1, _system_config={"preload_python_modules": names}):
    print(ray.get([sibling.has.remote() for sibling in [Sibling.remote() for _ in range(3)]]))
"""


def test_workers_have_what_is_preloaded(tmp_path: Path) -> None:
    code = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (tmp_path / "with_thread.py").write_text(code)
    (tmp_path / "exits.py").write_text("import sys; sys.exit('not for import')")
    run = subprocess.run([sys.executable, "-c", PRELOADING], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([[True, True, False, False]] * 3)
    assert "preload_python_modules: no_such_module cannot be imported: ModuleNotFoundError" in run.stderr
    assert "preload_python_modules: exits cannot be imported: SystemExit('not for import')" in run.stderr
    assert "preload_python_modules: one of the modules has started threads" in run.stderr


@pytest.mark.parametrize("names", ["html.parser", {"html.parser": 1}, [1]])
def test_preloaded_modules_are_a_list_of_names(names: object) -> None:
    with pytest.raises(ValueError, match="preload_python_modules"):
        ray.init("local", _system_config={"preload_python_modules": names})
    assert not ray.is_initialized()
