"""What a user reads when code that was sent to a worker cannot be loaded there."""

import pytest

from tests.output.script import run

SCRIPT = """
import os, shutil, sys, tempfile
import ray_async as ray
folder = tempfile.mkdtemp()
path = os.path.join(folder, "only_here.py")
open(path, "w").write("value = 1")
sys.path.append(folder)
import only_here
shutil.rmtree(folder)
ray.init(num_cpus=1, log_to_driver=False)
@ray.remote
def function(): return only_here.value
@ray.remote
class Actor:
    {kind} method(self): return only_here.value
try: ray.get(function.remote(), timeout=60)
except RuntimeError as error: print(error)
try: ray.get(Actor.remote().method.remote(), timeout=60)
except ray.exceptions.ActorDiedError as error: print(error)
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_the_error_says_what_cannot_be_loaded(kind: str) -> None:
    out, _ = run(SCRIPT.replace("{kind}", kind))
    text = "\n".join(out)
    assert "The remote function failed to import on the worker" in text
    assert "RuntimeError: The actor with name Actor failed to import on the worker" in text
    assert text.count("ModuleNotFoundError: No module named 'only_here'") >= 2
