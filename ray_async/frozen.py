"""Frozen records: what a frozen dataclass with slots offers, from classes that take microseconds to make.

`@dataclass(frozen=True, slots=True)` writes and compiles the methods of a class when its module is imported, which
takes close to a millisecond. The node process has dozens of such classes, and a short program's first task and its end
wait for their import. Here the methods are written once, for all classes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, dataclass_transform

__all__ = ("Record",)


class _RecordType(type):
    """Turns the annotations of a class body into slots, and its values into defaults."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _RecordType:
        inherited = [base for base in bases if isinstance(base, _RecordType)]
        fields = [field for base in inherited for field in base._fields]
        defaults = {key: value for base in inherited for key, value in base._defaults.items()}
        own = [key for key, kind in body.get("__annotations__", {}).items() if not str(kind).startswith("ClassVar")]
        defaults.update((key, body.pop(key)) for key in own if key in body)
        fields += own
        body.update(__slots__=tuple(own), __match_args__=tuple(fields), _fields=tuple(fields), _defaults=defaults)
        return super().__new__(cls, name, bases, body)


@dataclass_transform(frozen_default=True)
class Record(metaclass=_RecordType):
    """Base of a frozen record: annotated names are its fields, in order; values given to them are defaults.

    Records are equal when they are of one class and all fields are, are hashable when all fields are, can be matched by
    position, and can be pickled. A default is shared by all records, so it must not be mutable.

    Example:
        >>> class Point(Record):
        ...     x: int
        ...     y: int = 0
        >>> Point(1)
        Point(x=1, y=0)
    """

    _fields: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        if len(args) > len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, and {len(args)} values were given")
        given = dict(zip(cls._fields, args, strict=False))
        for name in kwargs:
            if name in given or name not in cls._fields:
                reason = "was given twice" if name in given else "is none of its fields"
                raise TypeError(f"{cls.__name__}: {name!r} {reason}")
        values = {**cls._defaults, **given, **kwargs}
        if len(values) < len(cls._fields):
            missing = [name for name in cls._fields if name not in values]
            raise TypeError(f"{cls.__name__} needs {', '.join(missing)}")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: records are frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted: records are frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), self._values()

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self._fields}

    def replace(self, **changes: Any) -> Self:
        """A record like this one with some fields changed."""
        return type(self)(**{**self.as_dict(), **changes})

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)
