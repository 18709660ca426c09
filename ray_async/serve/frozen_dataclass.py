"""Frozen dataclasses whose methods are not written and compiled anew for each class.

`dataclasses.dataclass` takes one to four milliseconds for a class, nearly all of it to compile methods, and Serve has
dozens of classes that a program's first answer waits for. Here the methods are functions that all classes share. The
classes are dataclasses for all else: `fields`, `replace`, `asdict` and `field` are the standard library's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ("dataclass",)

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    import inspect
    from dataclasses import MISSING, FrozenInstanceError

    def dataclass(*, frozen):
        """Make a frozen dataclass of a class.

        Args:
            frozen: True; written out since it is so with the standard library's decorator.

        Example:
            >>> @dataclass(frozen=True)
            ... class Point:
            ...     x: int
            ...     y: int = 0
            >>> Point(1)
            Point(x=1, y=0)
        """
        if frozen is not True:
            raise ValueError("only frozen dataclasses are made here")
        return _made

    def _made(cls):
        own = cls.__dict__
        # Without methods nothing is compiled.
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        cls.__frozen_fields__ = _Fields(dataclasses.fields(cls))
        for name, function in _METHODS:
            if name not in own or (name == "__hash__" and own[name] is None):
                setattr(cls, name, function)
        cls.__signature__ = _SIGNATURE
        return cls

    class _Fields:
        """What the methods must know of a class's fields."""

        __slots__ = ("compared", "defaults", "factories", "hashed", "names", "shown")

        def __init__(self, fields):
            self.names = tuple(field.name for field in fields)
            self.defaults = {field.name: field.default for field in fields if field.default is not MISSING}
            self.factories = {
                field.name: field.default_factory for field in fields if field.default_factory is not MISSING
            }
            self.compared = tuple(field.name for field in fields if field.compare)
            self.hashed = tuple(field.name for field in fields if (field.compare if field.hash is None else field.hash))
            self.shown = tuple(field.name for field in fields if field.repr)

    def _init(self, *args, **kwargs):
        known = self.__frozen_fields__
        names = known.names
        given = dict(zip(names, args, strict=False))
        values = {**known.defaults, **given, **kwargs}
        for name, factory in known.factories.items():
            if name not in values:
                values[name] = factory()
        if len(args) > len(names) or len(values) != len(names) or not given.keys().isdisjoint(kwargs):
            _complain(type(self), args, kwargs)
        # In the order of the fields, as who looks through the attributes of an object finds them.
        self.__dict__.update({name: values[name] for name in names})
        checked = getattr(self, "__post_init__", None)
        if checked is not None:
            checked()

    def _complain(cls, args, kwargs):
        """Raise what Python does for arguments of a function that do not fit."""
        what, names = f"{cls.__qualname__}.__init__()", cls.__frozen_fields__.names
        unknown = [name for name in kwargs if name not in names]
        if unknown:
            raise TypeError(f"{what} got an unexpected keyword argument {unknown[0]!r}")
        twice = [name for name in names[: len(args)] if name in kwargs]
        if twice:
            raise TypeError(f"{what} got multiple values for argument {twice[0]!r}")
        fields = cls.__frozen_fields__
        if len(args) > len(names):
            most, least = len(names) + 1, len(names) - len(fields.defaults) - len(fields.factories) + 1
            takes = f"{most}" if least == most else f"from {least} to {most}"
            raise TypeError(f"{what} takes {takes} positional arguments but {len(args) + 1} were given")
        given = {*names[: len(args)], *kwargs, *fields.defaults, *fields.factories}
        missing = [repr(name) for name in names if name not in given]
        listed = missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1])} and {missing[-1]}"
        arguments = "argument" if len(missing) == 1 else "arguments"
        raise TypeError(f"{what} missing {len(missing)} required positional {arguments}: {listed}")

    def _repr(self):
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__frozen_fields__.shown)
        return f"{type(self).__qualname__}({shown})"

    def _eq(self, other):
        if type(other) is not type(self):
            return NotImplemented
        names = self.__frozen_fields__.compared
        return tuple(getattr(self, name) for name in names) == tuple(getattr(other, name) for name in names)

    def _hash(self):
        return hash(tuple(getattr(self, name) for name in self.__frozen_fields__.hashed))

    def _set(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _delete(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    _METHODS = (
        ("__init__", _init),
        ("__repr__", _repr),
        ("__eq__", _eq),
        ("__hash__", _hash),
        ("__setattr__", _set),
        ("__delattr__", _delete),
    )

    class _Signature:
        """The signature of a class's constructor, made when somebody asks for it."""

        def __get__(self, instance, cls):
            parameters = []
            for field in dataclasses.fields(cls):
                default = inspect.Parameter.empty
                if field.default is not MISSING:
                    default = field.default
                elif field.default_factory is not MISSING:
                    default = _FROM_FACTORY
                kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
                parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=field.type))
            return inspect.Signature(parameters, return_annotation=None)

    class _FromFactory:
        def __repr__(self):
            return "<factory>"

    _FROM_FACTORY = _FromFactory()
    _SIGNATURE = _Signature()
