"""Classes that programs make, by value: cloudpickle's way, with the slots and fields that it leaves out.

cloudpickle first makes an empty class and sets its attributes afterwards. Slots, and the fields of a `msgspec.Struct`,
exist only if they are there when the class is made.
"""

from __future__ import annotations

import sys
from functools import cache
from types import FunctionType, MemberDescriptorType, new_class
from typing import Any, NamedTuple

__all__ = ("class_pickler",)

# What msgspec makes of a struct by itself.
_MADE = {
    *("__annotations__", "__annotate_func__", "__annotations_cache__", "__match_args__", "__module__", "__signature__"),
    *("__slots__", "__struct_config__", "__struct_defaults__", "__struct_encode_fields__", "__struct_fields__"),
}
# Options of `class Name(msgspec.Struct, ...)` that its configuration shows.
_OPTIONS = (
    *("frozen", "eq", "order", "array_like", "gc", "repr_omit_defaults", "omit_defaults", "forbid_unknown_fields"),
    *("weakref", "dict", "cache_hash", "tag", "tag_field"),
)


@cache
def class_pickler() -> Any:
    """cloudpickle's pickler, made once: cloudpickle is not loaded before the first value that needs it."""
    import cloudpickle

    class ClassPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is FunctionType:
                return self._function_reduce(obj)
            if not issubclass(type(obj), type):
                return NotImplemented  # what is neither a class nor a function, cloudpickle leaves to pickle
            reduced = super().reducer_override(obj)
            return _complete(obj, reduced) if reduced is not NotImplemented and len(reduced) == 6 else reduced

    return ClassPickler


def _complete(cls: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """What cloudpickle says of a class, with what it needs when it is made."""
    from cloudpickle import cloudpickle

    make, args, (attributes, more), *rest = reduced
    if make is not cloudpickle._make_skeleton_class:
        return reduced
    msgspec = sys.modules.get("msgspec")  # a struct is only met where it is loaded
    if msgspec is not None and isinstance(cls, type(msgspec.Struct)):
        return _complete_struct(cls, msgspec, reduced)
    if "__slots__" not in vars(cls) or NamedTuple in getattr(cls, "__orig_bases__", ()):
        return reduced  # a NamedTuple makes its slots itself
    names = _slot_names(cls)
    attributes = {
        name: value
        for name, value in attributes.items()
        if not (isinstance(value, MemberDescriptorType) and value.__objclass__ is cls)
    }
    if not isinstance(attributes.get("__slots__"), str | tuple | list | dict):
        attributes["__slots__"] = names  # an iterator that made the class is used up
    constructor, name, bases, members, *tracker = args
    members = {**members, "__slots__": names}
    return make, (constructor, name, bases, members, *tracker), (attributes, more), *rest


def _slot_names(cls: type) -> tuple[str, ...]:
    """The slots that a class adds to its bases', by the names of their descriptors."""
    found = [
        name
        for name, value in vars(cls).items()
        if isinstance(value, MemberDescriptorType) and value.__objclass__ is cls and value.__name__ == name
    ]
    declared = vars(cls)["__slots__"]
    if isinstance(declared, str | tuple | list | dict):
        found += [_mangled(cls, name) for name in ((declared,) if isinstance(declared, str) else declared)]
    found += [name for name in ("__dict__", "__weakref__") if name in vars(cls)]
    return tuple(dict.fromkeys(found))


def _mangled(cls: type, name: str) -> str:
    """The name of a private attribute, as the compiler makes it."""
    if not name.startswith("__") or name.endswith("__"):
        return name
    owner = cls.__name__.lstrip("_")
    return f"_{owner}{name}" if owner else name


# ---- msgspec.Struct ----


def _complete_struct(cls: Any, msgspec: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """A struct's own fields with their types and defaults, its options, and what else is in its body."""
    _, args, (attributes, more), *rest = reduced
    constructor, name, bases, members, tracker, _ = args
    attributes = {
        key: value for key, value in attributes.items() if key not in _MADE and key not in cls.__struct_fields__
    }
    own = _own_annotations(cls)
    fields = cls.__struct_fields__
    defaults = dict(zip(reversed(fields), reversed(cls.__struct_defaults__), strict=False))
    defaults = {key: value for key, value in defaults.items() if key in own and value is not msgspec.NODEFAULT}
    positional = type(cls).__match_args__.__get__(cls)  # its signature would evaluate the annotations
    options = {option: getattr(cls.__struct_config__, option) for option in _OPTIONS}
    encoded = dict(zip(fields, cls.__struct_encode_fields__, strict=True))
    options["rename"] = {key: encoded[key] for key in own if key in encoded and encoded[key] != key} or None
    options["kw_only"] = any(key in fields and key not in positional for key in own)
    body = {**members, "__qualname__": cls.__qualname__, "__annotations__": own}
    return (
        make_struct,
        (constructor, name, bases, body, _shown(defaults), options, tracker),
        (attributes, more),
        *rest,
    )


def _own_annotations(cls: Any) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return dict(vars(cls).get("__annotations__", {}))


def _shown(defaults: dict[str, Any]) -> dict[str, tuple[bool, Any]]:
    """Each default with whether it is made by a call: msgspec's own marks of that cannot be pickled."""
    made = {key: type(value).__module__.startswith("msgspec") for key, value in defaults.items()}
    return {key: (made[key], value.factory if made[key] else value) for key, value in defaults.items()}


def make_struct(
    constructor: Any,
    name: str,
    bases: tuple[Any, ...],
    body: dict[str, Any],
    defaults: dict[str, tuple[bool, Any]],
    options: dict[str, Any],
    tracker: str,
) -> Any:
    """The struct; the one that this process has already, where it came from here or was here before."""
    from cloudpickle import cloudpickle
    from msgspec import field

    for key, (made, value) in defaults.items():
        body[key] = field(default_factory=value) if made else field(default=value)
    cls = new_class(name, bases, {"metaclass": constructor, **options}, lambda space: space.update(body))
    return cloudpickle._lookup_class_or_track(tracker, cls)
