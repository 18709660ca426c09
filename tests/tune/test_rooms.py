"""Rooms of Tune: what decides does no I/O, and importing the package imports no Tune."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layers import ROOT, imports

TUNE = ROOT / "ray_async" / "tune"
# Sessions, loops, threads, sockets and clocks that count: none of these where decisions are made.
FORBIDDEN = ("asyncio", "threading", "socket", "subprocess", "ray_async.remote", "ray_async.get", "ray_async.put")
PURE = [
    *sorted((TUNE / "schedulers").glob("*.py")),
    *sorted(path for path in (TUNE / "search").rglob("*.py")),
    *sorted((TUNE / "stopper").glob("*.py")),
    *(
        TUNE / "execution" / f"{name}.py"
        for name in ("state", "effects", "messages", "settings", "stop_criteria", "slots")
    ),
    *(TUNE / "experiment" / f"{name}.py" for name in ("trial", "checkpoint_record")),
]


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(TUNE)))
def test_decisions_do_no_io(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts) + ".py"
    used = [imported for _, imported in imports(name, path)]
    shell = ("ray_async.tune.execution.search_loop", "ray_async.tune.execution.pool", "ray_async.tune.execution.runner")
    assert not [one for one in used if one.startswith((*FORBIDDEN, *shell))]
    assert "ray_async" not in used


def test_the_package_does_not_import_tune() -> None:
    code = (
        "import sys, ray_async; print(*[m for m in sys.modules if m.startswith(('ray_async.tune', 'ray_async.air'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_importing_tune_imports_neither_optuna_nor_pandas_nor_a_session() -> None:
    code = "import sys; from ray_async import tune; print(*{'optuna', 'pandas', 'torch', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_random_search_and_its_workers_need_no_numpy() -> None:
    code = (
        "import sys; from ray_async import tune; from ray_async.tune.execution import runner, search, restoring\n"
        "from ray_async.tune.search import BasicVariantGenerator\n"
        "from ray_async.tune.logger.default_loggers import default_callbacks\n"
        "found = BasicVariantGenerator(); tune.Tuner; tune.ResultGrid\n"
        "found.setup({'u': tune.uniform(0, 1), 'n': tune.randn(0, 1), 'i': tune.randint(0, 9)}, 3, 't')\n"
        "found.next_suggestion(); print(*{'numpy', 'pandas', 'pyarrow', 'torch', 'cloudpickle'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "cloudpickle"
