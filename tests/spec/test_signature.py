"""Signatures agree with the interpreter."""

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest

from ray_async.spec.signature import constructor_signature, function_signature
from tests.api.fake_session import round_trip


def none() -> None: ...
def two(a: Any, b: Any) -> None: ...
def defaults(a: Any, b: Any = 1, c: Any = 2) -> None: ...
def stars(a: Any, *args: Any, **kwargs: Any) -> None: ...
def keyword_only(a: Any, *, b: Any, c: Any = 0) -> None: ...
def positional_only(a: Any, b: Any = 1, /, c: Any = 2) -> None: ...
def shadow(a: Any, /, **kwargs: Any) -> None: ...


@functools.wraps(defaults)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


FUNCTIONS = [none, two, defaults, stars, keyword_only, positional_only, shadow]
CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    ((), {}),
    ((1,), {}),
    ((1, 2), {}),
    ((1, 2, 3), {}),
    ((1, 2, 3, 4), {}),
    ((), {"a": 1}),
    ((1,), {"a": 1}),
    ((1,), {"b": 1}),
    ((1,), {"c": 1}),
    ((1, 2), {"c": 1}),
    ((1, 2), {"b": 1}),
    ((1,), {"z": 1}),
    ((), {"a": 1, "b": 2}),
    ((), {"b": 2, "c": 3}),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_agrees_with_the_interpreter(
    function: Callable[..., Any], call: tuple[tuple[int, ...], dict[str, int]]
) -> None:
    args, kwargs = call
    signature = function_signature(function)
    fast = not kwargs and signature.minimum <= len(args) <= signature.maximum
    try:
        function(*args, **kwargs)
    except TypeError as error:
        assert not fast
        with pytest.raises(TypeError) as caught:
            signature.check(len(args), kwargs)
        assert function.__name__ in str(caught.value)
        if len(args) <= 1 and len(kwargs) <= 1 and "got some positional-only" not in str(error):
            assert str(caught.value) == str(error)
    else:
        signature.check(len(args), kwargs)
        assert fast == (not kwargs)


def test_wrapped_function_has_the_signature_it_shows() -> None:
    signature = function_signature(wrapped)
    assert (signature.positional, signature.required) == (("a", "b", "c"), 1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        signature.check(0, ())


def test_builtin_without_signature_accepts_everything() -> None:
    function_signature(dict.update).check(7, ("x",))


def test_bound_leaves_self_out() -> None:
    class A:
        def m(self, x: int) -> None: ...

    signature = function_signature(A.m, bound=True, name="A.m")
    signature.check(1, ())
    with pytest.raises(TypeError, match=re.escape("A.m() takes 1 positional argument but 2 were given")):
        signature.check(2, ())


def test_constructors() -> None:
    class Plain: ...

    class Made:
        def __new__(cls, x: int) -> "Made":
            return super().__new__(cls)

    class Initialised:
        def __init__(self, x: int, *, y: int = 0) -> None: ...

    with pytest.raises(TypeError, match=r"Plain\.__init__"):
        constructor_signature(Plain).check(1, ())
    constructor_signature(Plain).check(0, ())
    with pytest.raises(TypeError, match=r"Made\.__new__"):
        constructor_signature(Made).check(0, ())
    constructor_signature(Initialised).check(1, ("y",))
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        constructor_signature(Initialised).check(1, ("z",))


def test_pickles() -> None:
    signature = function_signature(keyword_only)
    assert round_trip(signature) == signature
