"""The compiled package says how it was built, and how to build it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ray_async import _core
from ray_async._core import store
from ray_async._core.arena import Arena


def test_build_info() -> None:
    info = _core.build_info()
    assert set(info) == {"debug", "sanitize", "version"}
    assert info["sanitize"] in (None, "address", "thread")


def test_a_tree_that_is_not_built_says_what_to_do(tmp_path: Path) -> None:
    package = tmp_path / "ray_async" / "_core"
    package.mkdir(parents=True)
    (tmp_path / "ray_async" / "__init__.py").touch()
    assert _core.__file__ is not None
    (package / "__init__.py").write_text(Path(_core.__file__).read_text())
    code = "import sys; sys.path.insert(0, sys.argv[1]); import ray_async._core"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "make build" in done.stderr


@pytest.mark.parametrize("free", ["sys.abiflags = 't'", "sys._is_gil_enabled = lambda: False"])
def test_free_threaded_builds_are_refused(free: str) -> None:
    code = f"import sys; {free}; import ray_async._core"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: ray_async does not run on free-threaded builds" in done.stderr


def test_native_objects_are_counted_in_debug_builds_only(arena: Arena) -> None:
    before = _core.live_objects()
    refs = [store.put(arena, np.arange(5000)) for _ in range(3)]
    views = [store.get_one(arena, ref) for ref in refs]
    counts = _core.live_objects()
    if not _core.build_info()["debug"]:
        assert counts == {}
        return
    new = {name: counts[name] - before[name] for name in counts if counts[name] != before[name]}
    assert new == {"ObjectRef": 3, "Pin": 3, "Buffer": 3, "hold slots": 6, "Encoder": 1 - before["Encoder"]}
    del refs, views
    assert {name: count for name, count in _core.live_objects().items() if name != "Encoder"} == {
        name: count for name, count in before.items() if name != "Encoder"
    }
