"""The tutorial to its end: a model that is served as it says, and the program that asks it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.document_links import ROOT, blocks
from tests.test_documents import ASKS, OUTPUT


def test_the_model_answers(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    ((document, number),) = ASKS
    (tmp_path / "model.py").write_text(blocks(document)[number - 1])
    serve = [sys.executable, "-m", "ray_async", "serve", "run", "model:app", "--port", "0"]
    with subprocess.Popen(serve, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = next((line for line in server.stdout if "until Ctrl-C" in line), "")
            found = re.search(r"http://[\d.]+:(\d+)", line)
            assert found is not None, line
            (tmp_path / "ask.py").write_text(blocks(document)[number].replace(":8000/", f":{found[1]}/"))
            ask = [sys.executable, "ask.py"]
            done = subprocess.run(ask, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=100)  # it says that it stops
    assert done.stdout.splitlines() == OUTPUT[document, number], done.stderr
    assert server.returncode == 0
