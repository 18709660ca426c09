"""Frozen dataclasses with shared methods are like those of the standard library."""

import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any

import pytest

from ray_async.serve.frozen_dataclass import dataclass


@dataclass(frozen=True)
class Shared:
    """A class."""

    name: str
    size: int = 1
    tags: list[str] = field(default_factory=list, hash=False)
    secret: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("negative")


@dataclasses.dataclass(frozen=True)
class Standard:
    """The same class."""

    name: str
    size: int = 1
    tags: list[str] = field(default_factory=list, hash=False)
    secret: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("negative")


@dataclass(frozen=True)
class Derived(Shared):
    """Has a field more."""

    more: float = 0.5


USES: list[Callable[[Any], Any]] = [
    lambda cls: repr(cls("a", 2)),
    lambda cls: repr(cls(name="a", secret="b", tags=["c"])),
    lambda cls: [value.name for value in dataclasses.fields(cls)],
    lambda cls: dataclasses.asdict(cls("a", tags=["b"])),
    lambda cls: repr(dataclasses.replace(cls("a"), size=3)),
    lambda cls: cls("a", secret="b") == cls("a"),
    lambda cls: cls("a") == cls("b"),
    lambda cls: cls("a") == "a",
    lambda cls: hash(cls("a", tags=["b"])) == hash(cls("a", secret="c")),
    lambda cls: cls("a").tags is cls("a").tags,
    lambda cls: list(vars(cls(secret="b", name="a"))),
    lambda cls: cls.__match_args__,
    lambda cls: str(inspect.signature(cls)),
    lambda cls: repr(pickle.loads(pickle.dumps(cls("a", 2)))),
    lambda cls: dataclasses.is_dataclass(cls),
    lambda cls: cls(),
    lambda cls: cls("a", 1, [], "", 5),
    lambda cls: cls("a", name="b"),
    lambda cls: cls("a", other=1),
    lambda cls: cls("a", -1),
    lambda cls: setattr(cls("a"), "name", "b"),
    lambda cls: setattr(cls("a"), "other", "b"),
    lambda cls: delattr(cls("a"), "name"),
]


def outcome(use: Callable[[Any], Any], cls: type) -> Any:
    try:
        found = use(cls)
    except Exception as error:
        found = type(error), str(error)
    return str(found).replace(cls.__name__, "Class") if isinstance(found, str | tuple) else found


@pytest.mark.parametrize("use", USES)
def test_uses(use: Callable[[Any], Any]) -> None:
    assert outcome(use, Shared) == outcome(use, Standard)


def test_a_derived_class() -> None:
    assert Derived("a", more=1) == Derived("a", 1, more=1)
    assert Derived("a") != Shared("a")
    assert [value.name for value in dataclasses.fields(Derived)] == ["name", "size", "tags", "secret", "more"]
    with pytest.raises(ValueError, match="negative"):
        Derived("a", -1)


def test_only_frozen_ones() -> None:
    with pytest.raises(ValueError, match="frozen"):
        dataclass(frozen=False)
