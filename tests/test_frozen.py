"""Frozen records: what they share with frozen dataclasses."""

from __future__ import annotations

import copy
import pickle
from typing import Any, ClassVar

import pytest

from ray_async.frozen import Record


class Point(Record):
    """Two numbers."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 0

    def norm(self) -> int:
        return abs(self.x) + abs(self.y)


class Named(Point):
    name: str = ""


class Pair(Record):
    x: int
    y: int = 0


def test_fields_by_position_by_name_and_by_default() -> None:
    assert (Point(1).x, Point(1).y) == (1, 0)
    assert Point(1, 2) == Point(y=2, x=1)
    assert Point(3, -4).norm() == 7
    assert Point.kind == "point"
    assert repr(Named(1, name="a")) == "Named(x=1, y=0, name='a')"


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "needs x"),
        ((1, 2, 3), {}, "has 2 fields, and 3 values"),
        ((1,), {"x": 1}, "'x' was given twice"),
        ((1,), {"z": 1}, "'z' is none of its fields"),
    ],
)
def test_wrong_arguments_are_refused(args: tuple[Any, ...], kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Point(*args, **kwargs)


def test_a_record_is_frozen_and_has_no_other_attributes() -> None:
    point: Any = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2
    with pytest.raises(AttributeError, match="frozen"):
        del point.x
    with pytest.raises(AttributeError):
        point.z = 1
    assert not hasattr(point, "__dict__")


def test_equality_and_hash_are_of_class_and_fields() -> None:
    assert Point(1, 2) == Point(1, 2) and hash(Point(1, 2)) == hash(Point(1, 2))
    assert Point(1, 2) != Point(2, 1)
    assert Point(1) != Pair(1) and Point(1) != Named(1)
    assert len({Point(1), Point(1), Pair(1)}) == 2


def test_matching_replacing_copying_and_pickling() -> None:
    match Named(1, 2, "b"):
        case Named(x, y, name):
            assert (x, y, name) == (1, 2, "b")
    assert Point(1, 2).replace(y=5) == Point(1, 5)
    assert Named(1).as_dict() == {"x": 1, "y": 0, "name": ""}
    assert pickle.loads(pickle.dumps(Named(1, 2, "c"))) == Named(1, 2, "c")
    assert copy.deepcopy(Point(1, 2)) == Point(1, 2)
