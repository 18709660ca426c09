"""mypy agrees with what these files say about the API's types."""

from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.mark.parametrize("name", ["public_api.py", "misuse.py"])
def test_types(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    report, errors, status = api.run(
        ["--strict", "--explicit-package-bases", "--cache-dir", str(tmp_path), str(HERE / name)]
    )
    assert status == 0, report + errors
