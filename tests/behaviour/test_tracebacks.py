"""What tracebacks of tasks show of the user's code."""

from __future__ import annotations

import linecache
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=1, object_store_memory=100 << 20):
        yield


def test_files_and_lines_of_functions_that_travel_by_value() -> None:
    @ray.remote
    def divide(by: int) -> float:
        def inner() -> float:
            return 1 / by  # here

        return inner()

    with pytest.raises(ZeroDivisionError) as caught:
        ray.get(divide.remote(0), timeout=TIMEOUT_S)
    text = str(caught.value)
    assert text.count(f'File "{__file__}"') == 2
    assert "return inner()" in text
    assert "return 1 / by  # here" in text


def test_lines_of_a_notebooks_cell() -> None:
    cell, lines = "/nowhere/ipykernel_1/2.py", ["def divide(by):\n", "    return 1 / by  # in a cell\n"]
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("".join(lines), cell, "exec"), space)
    linecache.cache[cell] = (len("".join(lines)), 0.0, lines, cell)
    try:
        with pytest.raises(ZeroDivisionError) as caught:
            ray.get(ray.remote(space["divide"]).remote(0), timeout=TIMEOUT_S)
    finally:
        del linecache.cache[cell]
    assert f'File "{cell}", line 2, in divide\n    return 1 / by  # in a cell' in str(caught.value)


def test_what_the_core_says_of_a_result_has_no_frames_of_the_core() -> None:
    @ray.remote
    def lock() -> object:
        return threading.Lock()

    @ray.remote(num_returns=2)
    def three() -> tuple[int, ...]:
        return 1, 2, 3

    for refs, words in ((lock.remote(), "cannot serialize <unlocked"), (three.remote(), "returned 3 values")):
        with pytest.raises((TypeError, ValueError), match=words) as caught:
            ray.get(refs, timeout=TIMEOUT_S)
        assert 'File "' not in str(caught.value)


_LOCK = threading.Lock()


def _by_value(source: str) -> Any:
    """What a script defines as `value`, for which there is no module."""
    space: dict[str, Any] = {"__name__": "__main__", "LOCK": _LOCK}
    exec(textwrap.dedent(source), space)
    return space["value"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("class value:\n    def m(self): return LOCK", "class value.m (global 'LOCK')"),
        ("class value:\n    @staticmethod\n    def m(): return LOCK", "class value.m (global 'LOCK')"),
        ("class value:\n    @classmethod\n    def m(cls): return LOCK", "class value.m (global 'LOCK')"),
        ("class value:\n    @property\n    def p(self): return LOCK", "class value.p (global 'LOCK')"),
        ("class value:\n    shared = LOCK", "class value.shared"),
        ("class A:\n    def m(self): return LOCK\nclass value(A): pass", "class value (base A).m (global 'LOCK')"),
        ("class A:\n    def m(self): return LOCK\nvalue = [A()]", "list[0] (class A).m (global 'LOCK')"),
        ("class A:\n    def m(self): return LOCK\ndef value(): return A", "function (global 'A').m (global 'LOCK')"),
    ],
)
def test_a_class_that_cannot_be_sent_names_method_and_global(source: str, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        ray.put(_by_value(source))
    assert f"The part that cannot be pickled is {words}, which is <unlocked _thread.lock" in str(caught.value)


def test_an_argument_that_cannot_be_sent_is_named() -> None:
    @ray.remote
    def take(*args: object, **kwargs: object) -> None:
        """Never called."""

    with pytest.raises(TypeError, match=r"(?s)cannot serialize \[.*The part that cannot be pickled is argument 2\[0\]"):
        take.remote(1, [threading.Lock()])
    with pytest.raises(TypeError, match="The part that cannot be pickled is argument 'key'\\."):
        take.remote(ray.put(1), key=threading.Lock())
