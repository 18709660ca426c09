#!/usr/bin/env bash
# mypy 2.4.1 and pyright's engine (basedpyright 1.40.2), Python 3.11.
#
# A decorator has two overloads: one for coroutine functions, whose result it unwraps, and one for all others. Applied to a
# generic function that gives its argument back, `def same(x: T) -> T`, one would expect the second overload, as for any
# function without `async`. mypy takes the first, since a T could be a coroutine; the type that the coroutine would give
# is then known by nothing, and becomes Never. Code after a use of the result is taken for unreachable. A generic function
# whose result holds T (`list[T]`) gets the second overload. Pyright takes the second overload for both.
#
# Seen:
#   mypy:    same(1): "Box[Never]", and: Argument 1 has incompatible type "int"; expected "Coroutine[Any, Any, Never]"
#            wrapped(1): "Box[list[int]]"
#   pyright: same(1): "Box[int]", wrapped(1): "Box[list[int]]"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mypy==2.4.1 basedpyright==1.40.2
cat > "$folder/program.py" <<'PROGRAM'
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Box(Generic[R]):
    pass


@overload
def boxed(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Box[R]]: ...
@overload
def boxed(function: Callable[P, R]) -> Callable[P, Box[R]]: ...
def boxed(function: Any) -> Any:
    return function


@boxed
def same(x: T) -> T:
    return x


@boxed
def wrapped(x: T) -> list[T]:
    return [x]


reveal_type(same(1))
reveal_type(wrapped(1))
PROGRAM
cd "$folder"
mypy=$("$folder/venv/bin/mypy" --no-error-summary program.py || true)
pyright=$("$folder/venv/bin/basedpyright" program.py || true)
printf '%s\n%s\n' "$mypy" "$pyright"
grep -q 'Revealed type is "program.Box\[Never\]"' <<< "$mypy"
grep -q 'expected "Coroutine\[Any, Any, Never\]"' <<< "$mypy"
grep -q 'Revealed type is "program.Box\[list\[int\]\]"' <<< "$mypy"
grep -q 'Type of "same(1)" is "Box\[int\]"' <<< "$pyright"
grep -q 'Type of "wrapped(1)" is "Box\[list\[int\]\]"' <<< "$pyright"
echo "as described"
