"""Find out which part of an object cannot be pickled."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

__all__ = ("FailureTuple", "inspect_serializability")


class FailureTuple:
    """One object that cannot be pickled.

    Attributes:
        obj: the object.
        name: the variable, attribute or key that holds it.
        parent: the object that holds it; the object itself when it is the one that was inspected.
        path: the way to it from the inspected object, such as `Model.lock`.
    """

    def __init__(self, obj: Any, name: str, parent: Any, path: str | None = None) -> None:
        self.obj = obj
        self.name = name
        self.parent = parent
        self.path = path or name

    def __repr__(self) -> str:
        return f"FailureTuple({self.name} [obj={self.obj!r}, parent={self.parent!r}])"


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: TextIO | None = None
) -> tuple[bool, set[FailureTuple]]:
    """Return whether an object can be sent to another process and, if not, which of its parts is to blame.

    Args:
        base_obj: the object.
        name: what to call it in the report; its own name by default.
        depth: how many levels of attributes, items and captured variables to look into.
        print_file: where the report goes; standard output by default.

    Returns:
        Whether it can be pickled, and the innermost parts that cannot.

    Example:
        >>> lock = threading.Lock()
        >>> ok, failures = inspect_serializability(lambda: lock)
        >>> ok, [failure.name for failure in failures]
        (False, ['lock'])
    """
    label = name or getattr(base_obj, "__name__", None) or repr(base_obj)
    inspection = _Inspection()
    error = inspection.check(base_obj)
    failures: list[FailureTuple] = []
    if error is not None:
        inspection.descend(base_obj, label, base_obj, label, depth, failures)
    _report(label, error, failures, print_file or sys.stdout)
    return error is None, set(failures)


class _Inspection:
    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def check(self, obj: Any) -> Exception | None:
        """Return the error that pickling the object raises, or None."""
        import io

        import cloudpickle

        from ray_async.serialization import registry as serializers

        class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
            def reducer_override(self, part: Any) -> Any:
                reduced = serializers.reduce_registered(part)
                return super().reducer_override(part) if reduced is NotImplemented else reduced

        try:
            Pickler(io.BytesIO()).dump(obj)
        except Exception as error:  # whatever a __reduce__ raises is the finding
            return error
        return None

    def descend(self, obj: Any, name: str, parent: Any, path: str, depth: int, failures: list[FailureTuple]) -> None:
        """Add the innermost parts of `obj` (which cannot be pickled) that cannot be pickled either."""
        if id(obj) in self._seen:
            return
        self._seen[id(obj)] = obj
        deeper = [
            (part_name, part)
            for part_name, part in (_parts(obj) if depth > 0 else ())
            if id(part) != id(obj) and self.check(part) is not None
        ]
        for part_name, part in deeper:
            separator = "" if part_name.startswith("[") else "."
            self.descend(part, part_name, obj, f"{path}{separator}{part_name}", depth - 1, failures)
        if not deeper:
            failures.append(FailureTuple(obj, name, parent, path))


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """The named parts that are pickled along with the object."""
    if inspect.isfunction(obj):
        captured = inspect.getclosurevars(obj)
        yield from captured.nonlocals.items()
        yield from captured.globals.items()
        yield from ((f"default {i}", value) for i, value in enumerate(obj.__defaults__ or ()))
    elif inspect.ismethod(obj):
        yield "__self__", obj.__self__
        yield "__func__", obj.__func__
    elif isinstance(obj, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in obj.items())
    elif isinstance(obj, list | tuple | set | frozenset):
        yield from ((f"[{index}]", value) for index, value in enumerate(obj))
    else:
        for attribute, value in _attributes(obj):
            yield attribute, value.__func__ if isinstance(value, staticmethod | classmethod) else value


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    for attribute, value in dict(getattr(obj, "__dict__", {})).items():
        if not (isinstance(obj, type) and attribute in ("__dict__", "__weakref__")):
            yield attribute, value
    if not isinstance(obj, type):
        for cls in type(obj).__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if hasattr(obj, slot) and slot not in ("__dict__", "__weakref__"):
                    yield slot, getattr(obj, slot)


def _report(label: str, error: Exception | None, failures: list[FailureTuple], file: TextIO) -> None:
    if error is None:
        print(f"{label}: can be pickled.", file=file)
        return
    print(f"{label}: cannot be pickled ({type(error).__name__}: {error}).", file=file)
    for failure in failures:
        held = "" if failure.parent is failure.obj else f", held by {failure.parent!r}"
        print(f"  {failure.path}: {failure.obj!r}{held}", file=file)
    print(
        "  Create such an object where it is used, keep it out of what the function captures, "
        "or register a serializer for its type (ray_async.util.register_serializer).",
        file=file,
    )
