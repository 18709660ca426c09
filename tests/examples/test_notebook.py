"""The notebook: each cell gives what is stored with it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.test_source import ROOT

NOTEBOOK = ROOT / "examples" / "first_steps.ipynb"
# Kernel and client talk over Unix sockets: nothing listens on a port.
PROGRAM = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=100, kernel_name="python3", transport="ipc").execute()
nbformat.write(notebook, sys.argv[2])
"""


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    cells = json.loads(path.read_text())["cells"]
    return [
        [{key: value for key, value in output.items() if key != "execution_count"} for output in cell["outputs"]]
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def test_the_notebook_gives_what_it_shows(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
        "JUPYTER_RUNTIME_DIR": str(tmp_path),
    }
    executed = tmp_path / "executed.ipynb"
    command = [sys.executable, "-c", PROGRAM, str(NOTEBOOK), str(executed)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert outputs(executed) == outputs(NOTEBOOK)
    assert len([cell for cell in outputs(NOTEBOOK) if cell]) >= 8
