"""Python blocks of README and documents are programs: each is run as one, by an interpreter of its own."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.document_links import DOCS, ROOT, blocks

# Ports that readers can type, which something else may have where the tests run.
PORTS = ("8321", "9321")
# A block that is a file of tests prints what pytest does; one that asks a server runs in tests/test_tutorial.py.
TESTS = [("docs/how-to/operations.md", 2)]
ASKS = [("docs/tutorial.md", 5)]
OUTPUT: dict[tuple[str, int], list[str]] = {
    ("README.md", 0): ["49", "[0, 1, 4, 9, 16]"],
    ("README.md", 1): [
        "sum of the means: 8.0",
        "True",
        "item 0",
        "item 1",
        "item 2",
        "value 0",
        "value 1",
        "value 2",
    ],
    ("README.md", 2): [
        "[1.0, 0.5, 0.3333333333333333, 0.25]",
        "[11, 12, 13]",
        "4 ready, 4 waiting",
        "the task failed: True",
    ],
    ("README.md", 3): ["{'words': 4}"],
    ("docs/cancelling.md", 0): ["[0.01, 0.01, 0.01]", "cancelled, with all that it had started", "0.01"],
    ("docs/errors.md", 0): ["True"],
    ("docs/data.md", 0): ["[{'text_length': 60}]", "166833"],
    ("docs/data.md", 1): ["['id', 'r', 'row', 'half', 'odd'] True"],
    ("docs/data.md", 2): ["True 4"],
    ("docs/data-sources.md", 0): ["['id', 'text', 'path'] [{'text': 'to'}, {'text': 'be'}]"],
    ("docs/data-sources.md", 1): [
        "[{'shop': 'a', 'sum(price)': 3.5}, {'shop': 'b', 'sum(price)': 5.25}]",
    ],
    ("docs/data-sources.md", 2): ["[{'square': 0}, {'square': 1}, {'square': 4}, {'square': 9}, {'square': 16}]"],
    ("docs/data-sources.md", 3): [
        "[[-1.22, 0.0, 1.0], [0.0, 1.0, 0.0], [1.22, 0.0, 1.0]]",
        "{'features': array([[0., 0., 0.]])}",
    ],
    ("docs/gpu.md", 0): ["12.0", "[0. 2. 4. 6.]", "ndarray"],
    ("docs/programs-for-ray.md", 0): ["2.60.0"],
    ("docs/graphs.md", 0): ["[9, 18]", "[11, 12, 13]", "[2, 11]"],
    ("docs/processes.md", 0): ["True"],
    ("docs/state.md", 0): ["counter ALIVE"],
    ("docs/serve.md", 0): ["{'text': 'to be', 'words': 2}"],
    ("docs/serve.md", 1): [],
    ("docs/serve.md", 2): [],
    ("docs/serve.md", 3): [],
    ("docs/serve.md", 4): ["[1, 2, 3]"],
    ("docs/serve.md", 5): ["one of 2"],
    ("docs/serve.md", 6): ["14"],
    ("docs/serve.md", 7): ["[1, 2, 3]"],
    ("docs/serve.md", 8): ["the model a"],
    ("docs/serve.md", 9): ["ABC"],
    ("docs/serve.md", 10): [],
    ("docs/serve.md", 11): ["hello bob"],
    ("docs/serving.md", 0): ["{'label': 'POSITIVE'}"],
    ("docs/serving.md", 1): ["{'shelf': 'a', 'total': 10.0}", "422"],
    ("docs/serving.md", 2): ["21"],
    ("docs/serving.md", 3): ["1240 [8, 8]"],
    ("docs/serving.md", 4): ["['data: to', 'data: be', 'data: or']"],
    ("docs/serving.md", 5): [
        "hello from version 1",
        "good day from version 1",
        "good day from version 2",
        "True good day from version 2",
    ],
    ("docs/serving.md", 6): ["status 418 ", "stream 200 0 1 2 ", "body 400 ", "bytes 200 raw", "True"],
    ("docs/serving.md", 7): ["hello bob"],
    ("docs/tune.md", 0): ["{'x': 1} 0.2"],
    ("docs/tune.md", 1): ["{'x': 3.0} 3"],
    ("docs/tune.md", 2): ["{'train_loop_config': {'lr': 0.3}} 0.1 2"],
    ("docs/tune.md", 3): ["20 True"],
    ("docs/types.md", 0): ["2"],
    ("docs/index.md", 0): ["[0, 1, 4, 9, 16]"],
    ("docs/tutorial.md", 0): ["not waited for: ObjectRef", "waited for: 49", "[0, 1, 4, 9, 16, 25, 36, 49]"],
    ("docs/tutorial.md", 1): ["[100000.0, 100000.0, 100000.0, 100000.0]", "400000.0"],
    ("docs/tutorial.md", 2): ["to"],
    ("docs/tutorial.md", 3): ["could not be parsed: True", "2 0"],
    ("docs/tutorial.md", 4): [],
    ("docs/tutorial.md", 5): ["is 1 - said {'digit': 1}", "is 9 - said {'digit': 9}", "is 7 - said {'digit': 7}"],
    ("docs/how-to/tasks.md", 0): ["first of all: page 1 of 3", "100"],
    ("docs/how-to/tasks.md", 1): ["third time", "cancelled"],
    ("docs/how-to/tasks.md", 2): ["solved", "1.0"],
    ("docs/how-to/tasks.md", 3): ["line 0", "line 1", "line 2"],
    ("docs/how-to/actors.md", 0): ["['A', 'B'] 2"],
    ("docs/how-to/actors.md", 1): ["blue"],
    ("docs/how-to/actors.md", 2): ["3"],
    ("docs/how-to/actors.md", 3): ["[0, 10, 20, 30, 40]", "[0, 1, 2, 3]"],
    ("docs/how-to/objects.md", 0): ["[99999, 49999]"],
    ("docs/how-to/objects.md", 1): ["2 parts, 45 in all"],
    ("docs/how-to/objects.md", 2): ["[0.0] 1", "a TimeoutError: True"],
    ("docs/how-to/objects.md", 3): ["[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"],
    ("docs/how-to/operations.md", 0): ["[('helper', 'ALIVE')]", "1.0"],
    ("docs/how-to/operations.md", 1): ["2.0", "True ZeroDivisionError"],
    ("docs/how-to/operations.md", 2): ["1 passed"],
    ("docs/how-to/operations.md", 3): ["test"],
    ("docs/coming-from/celery.md", 0): ["2", "[2, 2, 2, 2, 2]", "10 words"],
    ("docs/coming-from/dask.md", 0): ["25"],
    ("docs/coming-from/multiprocessing.md", 0): ["[0, 1, 4, 9, 16]", "[3, 7]", "81"],
    ("docs/coming-from/multiprocessing.md", 1): ["[0, 1, 4, 9, 16]"],
    ("docs/coming-from/ray.md", 0): ["[0, 1, 4, 9] 2"],
}


def free_ports(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(one.getsockname()[1]) for one in found]


@pytest.mark.parametrize("document", ["README.md", *DOCS])
def test_every_block_has_its_output_here(document: str) -> None:
    assert [(document, number) for number in range(len(blocks(document)))] == [
        key for key in OUTPUT if key[0] == document
    ]


@pytest.mark.parametrize(("document", "number"), [key for key in OUTPUT if key not in ASKS])
def test_block(document: str, number: int, tmp_path: Path) -> None:
    program = tmp_path / "test_program.py"
    text = blocks(document)[number]
    for port, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        text = text.replace(port, free)
    program.write_text(text)
    pytest_alone = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    how = pytest_alone if (document, number) in TESTS else ["-W", "error"]
    done = subprocess.run(
        [sys.executable, *how, program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    if (document, number) in TESTS:
        assert lines[-1].startswith(OUTPUT[document, number][0])
    else:
        assert lines == OUTPUT[document, number], done.stderr
