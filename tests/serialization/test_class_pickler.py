"""Classes of a program's own, in another process and on their way back."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ray_async.serialization.pickling import dumps

# What the other process does: look at what has arrived, and send it back.
OTHER = """
import pickle, sys
from ray_async.serialization.pickling import dumps
values = pickle.load(sys.stdin.buffer)
def look(value):
    weak = hasattr(type(value), "__weakref__")
    return value, not hasattr(value, "__dict__"), weak, getattr(value, "check", lambda: None)(), type(value)
sys.stdout.buffer.write(dumps({name: look(value) for name, value in values.items()}))
"""

PROGRAM = """
import abc, enum, msgspec, typing
from dataclasses import dataclass, field
T = typing.TypeVar("T")

class Plain:
    __slots__ = ("x", "__hidden")
    def __init__(self, x):
        self.x, self.__hidden = x, x + 1
    def check(self):
        return self.x, self.__hidden

class Child(Plain):
    __slots__ = ("y",)
    def __init__(self, x, y):
        super().__init__(x)
        self.y = y
    def check(self):
        return super().check(), self.y

class Loose(Plain):
    pass

class One:
    __slots__ = "only"

class Documented:
    __slots__ = {"a": "the a", "__weakref__": "for caches"}

class Open:
    __slots__ = ("a", "__dict__")

class Replaced:
    __slots__ = ("a",)
Replaced.b = Replaced.a

class Box(typing.Generic[T]):
    __slots__ = ("value",)

class Abstract(abc.ABC):
    __slots__ = ("z",)
    @abc.abstractmethod
    def check(self): ...

class Concrete(Abstract):
    __slots__ = ()
    def check(self):
        return self.z

class Pair(typing.NamedTuple):
    a: int
    b: str = "b"
    def check(self):
        return self.a

class Word(str):
    __slots__ = ()

class Colour(enum.Enum):
    RED = 1

@dataclass(slots=True)
class Data:
    a: int
    b: list = field(default_factory=list)
    c: str = "c"

@dataclass(slots=True)
class More(Data):
    d: float = 2.0
    def check(self):
        return type(self)(1) == More(1) and More.__slots__

@dataclass(slots=True, frozen=True, order=True, weakref_slot=True)
class Frozen:
    a: int = 3
    def check(self):
        return self < Frozen(self.a + 1)

class Struct(msgspec.Struct):
    a: int
    b: str = "b"
    c: list = []
    d: dict = msgspec.field(default_factory=dict)
    def check(self):
        return msgspec.json.decode(msgspec.json.encode(self), type=type(self)) == self and Struct(1)

class Tagged(msgspec.Struct, kw_only=True, frozen=True, tag="tag", rename="camel", order=True):
    first_name: str
    number: int = 4
    def check(self):
        return msgspec.json.encode(self), hash(self) == hash(self), self < Tagged(first_name="z")

class Longer(Struct):
    e: float = 1.5
    def check(self):
        return super().check() is not None and Longer.__struct_fields__

class Keyword(Struct, kw_only=True):
    must: int
    def check(self):
        return Keyword(1, must=2).must

class Generic(msgspec.Struct, typing.Generic[T]):
    value: T

class Node(msgspec.Struct):
    children: list["Node"] = []
    value: int = msgspec.field(default=0, name="VALUE")

one, documented, loose, open_, box, concrete = One(), Documented(), Loose(4), Open(), Box(), Concrete()
one.only, documented.a, loose.extra, open_.a, open_.b, box.value, concrete.z = 1, 2, 3, 4, 5, 6, 7
replaced = Replaced()
replaced.a = 8
VALUES = dict(
    plain=Plain(1), child=Child(1, 2), loose=loose, one=one, documented=documented, open=open_, replaced=replaced,
    box=box, concrete=concrete, pair=Pair(1), word=Word("w"), colour=Colour.RED, data=Data(1, [2]), more=More(1),
    frozen=Frozen(2), struct=Struct(1, c=[2]), tagged=Tagged(first_name="x"), longer=Longer(1),
    keyword=Keyword(a=1, must=2), generic=Generic(5), node=Node([Node()], 3),
)
"""


def run(source: str) -> dict[str, Any]:
    """The names that a program defines, whose classes are of `__main__`."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<program>", "exec", dont_inherit=True), names)
    return names


def travel(values: dict[str, Any]) -> dict[str, Any]:
    """The values after they were in another process, with what that one saw."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER], input=dumps(values), capture_output=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = pickle.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """The values of a program."""
    made: dict[str, Any] = run(PROGRAM)["VALUES"]
    return made


@pytest.fixture(scope="module")
def found(values: dict[str, Any]) -> dict[str, Any]:
    """The same, after they were elsewhere."""
    return travel(values)


def state(value: Any) -> dict[str, Any]:
    """All that an object holds, by name."""
    held = {
        name: getattr(value, name, None)
        for cls in type(value).__mro__
        for name, member in vars(cls).items()
        if type(member).__name__ == "member_descriptor"
    }
    return {**held, **getattr(value, "__dict__", {})}


NAMES = list(run(PROGRAM)["VALUES"])


@pytest.mark.parametrize("name", NAMES)
def test_objects_come_back_as_they_were(values: dict[str, Any], found: dict[str, Any], name: str) -> None:
    value = values[name]
    back, _, _, _, kind = found[name]
    assert type(back) is type(value)
    assert kind is type(value)
    assert repr(state(back)) == repr(state(value))


@pytest.mark.parametrize("name", NAMES)
def test_classes_have_their_slots_elsewhere(values: dict[str, Any], found: dict[str, Any], name: str) -> None:
    value = values[name]
    _, closed, weak, check, _ = found[name]
    if name not in ("pair", "word", "colour"):
        assert closed == (not hasattr(value, "__dict__"))
    if name not in ("pair",):
        assert weak == hasattr(type(value), "__weakref__")
    assert repr(check) == repr(getattr(value, "check", lambda: None)())


def test_structs_keep_their_options() -> None:
    program = run(
        "import msgspec\nclass S(msgspec.Struct, omit_defaults=True, array_like=True, weakref=True): a: int = 1"
    )
    options = ("omit_defaults", "array_like", "weakref", "frozen", "tag")
    other = (
        "import pickle, sys\nconfig = pickle.load(sys.stdin.buffer).__struct_config__\n"
        f"print([getattr(config, name) for name in {options}])"
    )
    done = subprocess.run([sys.executable, "-c", other], input=dumps(program["S"]), capture_output=True)
    expected = [getattr(program["S"].__struct_config__, name) for name in options]
    assert done.stdout.decode().strip() == repr(expected), done.stderr.decode()


def test_annotations_need_not_have_a_meaning_elsewhere() -> None:
    program = run(
        "from __future__ import annotations\nimport msgspec\nfrom dataclasses import dataclass\n"
        "class S(msgspec.Struct, kw_only=True):\n    a: Unknown\n    b: list[Unknown] = []\n"
        "@dataclass(slots=True)\nclass D:\n    a: Unknown = 3\n"
    )
    found = travel({"struct": program["S"](a=1), "data": program["D"]()})
    assert (found["struct"][0], found["data"][0]) == (program["S"](a=1), program["D"]())


def test_a_class_that_is_defined_again_is_another() -> None:
    old = run("class Slots:\n    __slots__ = ('x',)\n    def check(self): return 'old'")["Slots"]
    new = run("class Slots:\n    __slots__ = ('w',)\n    def check(self): return 'new'")["Slots"]
    first, second = old(), new()
    first.x, second.w = 1, 2
    found = travel({"first": first, "second": second})
    assert [found[name][3] for name in ("first", "second")] == ["old", "new"]
    assert (type(found["first"][0]), type(found["second"][0])) == (old, new)
    assert (found["first"][0].x, found["second"][0].w) == (1, 2)


def test_functions_may_use_such_classes() -> None:
    program = run(PROGRAM + "\ndef check():\n    return Child(1, 2).check(), Struct(1).check().c, Data(3).c\n")

    class Caller:
        check = staticmethod(program["check"])

    Caller.__module__ = "__main__"
    assert repr(travel({"caller": Caller()})["caller"][3]) == "(((1, 2), 2), [], 'c')"


def test_a_struct_of_a_module_goes_by_name() -> None:
    assert pickle.loads(dumps(msgspec.Struct)) is msgspec.Struct
