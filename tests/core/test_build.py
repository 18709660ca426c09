"""The compiled package says how it was built, and how to build it."""

import subprocess
import sys
from pathlib import Path

from ray_async import _core


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
