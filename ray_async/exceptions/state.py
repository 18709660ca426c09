"""The state of an exception: arguments, attributes, slots and fields in C, read and set without its class's code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

__all__ = ("arguments_of", "fields_of", "is_builtin", "make_bare", "set_arguments", "set_attributes", "set_fields")

_HEAP_TYPE_FLAG = 1 << 9
_Descriptor = MemberDescriptorType | GetSetDescriptorType
# BaseException's own, whatever a subclass has made of the name.
_ARGUMENTS: Any = vars(BaseException)["args"]
_DICT: Any = vars(BaseException)["__dict__"]


def is_builtin(cls: type) -> bool:
    """Test of a class: it is neither made by a class statement nor at run time in another way."""
    return not cls.__flags__ & _HEAP_TYPE_FLAG


def make_bare(cls: type[BaseException], group: tuple[str, tuple[BaseException, ...]] | None = None) -> Any:
    """An instance whose `__init__` and `__new__` did not run.

    Args:
        cls: the class; what it inherits its layout from must be a builtin.
        group: message and exceptions, for a class of exception groups.

    Raises:
        TypeError: the layout is that of a class in an extension module, which alone can fill it.
    """
    # The base that decides about the layout. Its kind of __new__ is the one that fits, whatever the order of the bases.
    base: Any = cls
    while not is_builtin(base):
        base = base.__base__
    return base.__new__(cls, *group) if group is not None else base.__new__(cls)


def arguments_of(error: BaseException) -> tuple[Any, ...]:
    """The arguments that the exception itself keeps."""
    arguments: tuple[Any, ...] = _ARGUMENTS.__get__(error)
    return arguments


def set_arguments(error: BaseException, arguments: tuple[Any, ...]) -> None:
    """Set what `arguments_of` reads."""
    _ARGUMENTS.__set__(error, arguments)


def set_attributes(error: BaseException, attributes: Mapping[str, Any]) -> None:
    """Set attributes of an instance that may be frozen."""
    _DICT.__get__(error).update(attributes)


def fields_of(error: BaseException) -> dict[str, Any]:
    """Values of slots and of fields in C such as `OSError.errno`, by name, where they are set."""
    found: dict[str, Any] = {}
    for name, base, descriptor in _descriptors(type(error)):
        if name in found or (base is AttributeError and name == "obj"):  # what lacked it may be anything, of any size
            continue
        # An unset slot has no value, and an unset field of some builtins none of the right type.
        with contextlib.suppress(AttributeError, TypeError):
            value = descriptor.__get__(error)
            if value is not None or not is_builtin(base):
                found[name] = value
    return found


def set_fields(error: BaseException, fields: Mapping[str, Any]) -> None:
    """Set what `fields_of` reads; read-only ones stay as the instance was made with."""
    missing = dict(fields)
    for name, _, descriptor in _descriptors(type(error)):
        if name in missing:
            with contextlib.suppress(AttributeError, TypeError):
                descriptor.__set__(error, missing.pop(name))


def _descriptors(cls: type) -> Iterator[tuple[str, type, _Descriptor]]:
    for base in cls.__mro__:
        for name, member in vars(base).items():
            # Not __class__, __dict__ and what every exception has.
            if isinstance(member, _Descriptor) and not name.startswith("__") and name != "args":
                yield name, base, member
