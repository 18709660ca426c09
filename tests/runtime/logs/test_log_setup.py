"""Loggers of driver and workers, as init() is told."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

import ray_async as ray
from ray_async.engine.init_options import InitOptions
from ray_async.runtime.logs.log_setup import apply_log_setup, log_setup
from tests.output.script import run

WORKER = """
import logging, sys
import ray_async as ray
ray.init(num_cpus=1, {options})
@ray.remote
def speak(depth=0):
    logging.getLogger("ray_async").info("package %d", depth)
    logging.getLogger("program").info("from a worker")
speak._function(1)
ray.get(speak.remote())
ray.shutdown()
"""


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    loggers = logging.root, logging.getLogger("ray_async")
    before = [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate


def test_level_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ray_async")
    apply_log_setup(log_setup(InitOptions(logging_level="debug", logging_format="<%(levelname)s> %(message)s")))
    logger.debug("seen")
    assert capsys.readouterr().err == "<DEBUG> seen\n"
    apply_log_setup(log_setup(InitOptions(logging_level=logging.ERROR, logging_format="%(message)s")))
    logger.warning("not seen")
    logger.error("seen once")
    assert capsys.readouterr().err == "seen once\n"
    apply_log_setup(log_setup(InitOptions(configure_logging=False, logging_level="debug", logging_format="x")))
    assert (logger.level, logger.propagate) == (logging.ERROR, True)
    logger.error("to the program's own handlers")
    assert capsys.readouterr().err == ""


def test_json_and_text_with_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    config = ray.LoggingConfig("JSON", "WARNING", ["process"])
    apply_log_setup(log_setup(InitOptions(logging_config=config)), lambda: {"worker_id": "w"})
    logging.getLogger("program").info("below the level")
    try:
        raise OSError("lost")
    except OSError:
        logging.getLogger("program").exception("a %s", "word")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["message"], found["levelname"], found["worker_id"]) == ("a word", "ERROR", "w")
    assert found["process"] > 0 and found["filename"] == "test_log_setup.py"
    assert "OSError: lost" in found["exc_text"]
    config = ray.LoggingConfig("TEXT", "INFO", ["name"])
    apply_log_setup(log_setup(InitOptions(logging_config=config)), lambda: {"worker_id": "w"})
    logging.getLogger("program").info("words")
    assert re.search(r"-- words worker_id=w name=program timestamp_ns=\d{19}\n$", capsys.readouterr().err)


def test_init_tells_nothing_unless_asked() -> None:
    _, err = run("import ray_async as ray\nray.init(num_cpus=1)\nray.shutdown()")
    assert err == []
    _, err = run('import ray_async as ray\nray.init(num_cpus=1, logging_format="%(name)s: %(message)s")\n')
    assert len(err) == 1 and re.fullmatch(r"ray_async: started node [0-9a-f]+", err[0])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (InitOptions(logging_level="loud"), ValueError, "logging_level.*'loud'"),
        (InitOptions(logging_level=1.5), TypeError, "logging_level"),  # type: ignore[arg-type]
        (InitOptions(logging_format="%(message"), ValueError, None),
        (InitOptions(logging_format=5), TypeError, "logging_format"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused(options: InitOptions, error: type[Exception], words: str | None) -> None:
    with pytest.raises(error, match=words):
        log_setup(options)


def test_workers_log_as_they_are_told() -> None:
    options = 'logging_config=ray.LoggingConfig("JSON", "INFO"), log_to_driver=True'
    _, err = run(WORKER.format(options=options))
    # No prefixes: the records say where they come from.
    found = [json.loads(line) for line in err if "from a worker" in line]
    assert [("task_id" in record, record.get("task_name"), record["message"]) for record in found] == [
        (False, None, "from a worker"),
        (True, "speak", "from a worker"),
    ]
    driver, worker = found
    assert driver["job_id"] == worker["job_id"]
    assert driver["node_id"] == worker["node_id"]
    assert driver["worker_id"] != worker["worker_id"]
    assert "actor_id" not in worker
    _, err = run(WORKER.format(options='logging_level="info", logging_format="<%(message)s>"'))
    assert [line for line in err if line.endswith("<package 0>")], err
    assert "<package 1>" in err
    assert not [line for line in err if "from a worker" in line]
