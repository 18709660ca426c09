"""mypy and pyright agree with what the files beside this one say about the API's types."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from mypy import api

from ray_async.spec.option_table import ACTOR_RULES, METHOD_RULES, TASK_RULES
from ray_async.spec.option_types import ActorKeywords, MethodKeywords, RemoteKeywords, TaskKeywords

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize(
    ("name", "plugin"),
    [
        ("public_api.py", False),
        ("misuse.py", False),
        ("public_api.py", True),
        ("misuse.py", True),
        ("decorated.py", True),
        ("with_plugin.py", True),
    ],
)
def test_mypy(name: str, plugin: bool, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = tmp_path / "mypy.ini"
    packages = "[mypy-cloudpickle.*,torch.*,opentelemetry.*,uvloop.*,polars.*]\nignore_missing_imports = true\n"
    config.write_text(f"[mypy]\n{'plugins = ray_async.mypy_plugin' if plugin else ''}\n{packages}")
    report, errors, status = api.run(
        [
            "--strict",
            "--explicit-package-bases",
            "--config-file",
            str(config),
            "--cache-dir",
            str(cache / str(plugin)),
            str(HERE / name),
        ]
    )
    assert status == 0, report + errors


def test_pyright(tmp_path: Path) -> None:
    """The engine of pyright, as basedpyright packs it, in its strict mode."""
    config = {
        "include": [str(HERE / name) for name in ("public_api.py", "misuse.py", "decorated.py")],
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": "error",
        "reportPrivateUsage": "none",
        # A handle's methods have the type Any here, and that is what these would report.
        "reportUnknownMemberType": "none",
        "extraPaths": [str(ROOT)],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 3, done.stdout
    problems = [
        f"{Path(found['file']).name}:{found['range']['start']['line'] + 1}: {found['message']}"
        for found in report["generalDiagnostics"]
        if found["severity"] == "error"
    ]
    assert problems == []


def test_the_options_of_types_are_those_of_the_rules() -> None:
    assert {*get_type_hints(TaskKeywords), "num_returns"} == {*TASK_RULES}
    assert {*get_type_hints(ActorKeywords)} == {*ACTOR_RULES}
    assert {*get_type_hints(RemoteKeywords), "num_returns"} == {*TASK_RULES, *ACTOR_RULES}
    assert {*get_type_hints(MethodKeywords), "num_returns"} == {*METHOD_RULES}
