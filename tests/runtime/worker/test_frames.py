"""Frames of user code: what runs is found by the frames of marked methods, which have the variables that are read."""

import sys
from collections.abc import Callable
from types import FrameType, SimpleNamespace

import pytest

from ray_async.runtime.worker.hosts.frames import running_definition, running_record, runs_user_code


@runs_user_code
def call(record: int, definition: SimpleNamespace, code: Callable[[], FrameType]) -> FrameType:
    return code()


def user_code() -> FrameType:
    return sys._getframe()


def test_the_record_whose_code_runs_is_found() -> None:
    frame = call(7, SimpleNamespace(name="step"), user_code)
    assert (running_record(frame), running_definition(frame)) == (7, "step")


def test_the_packages_own_code_is_nobodys() -> None:
    caller = call(7, SimpleNamespace(name="step"), user_code).f_back
    assert caller is not None and caller.f_locals["record"] == 7
    assert running_record(caller) == 0, "between two instructions of the method that calls user code, none of that runs"
    assert running_record(sys._getframe()) == 0
    assert (running_record(None), running_definition(None)) == (0, None)


def test_a_renamed_variable_is_seen_at_once() -> None:
    def renamed(row: int, definition: SimpleNamespace) -> None: ...

    with pytest.raises(TypeError, match="renamed runs user code, but has no variable record"):
        runs_user_code(renamed)
