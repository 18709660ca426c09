"""Values on their way between agents: a header as JSON could hold it, and frames of bytes.

An agent unpickles nothing that users wrote. What the store keeps in its compact form is built of builtins: it travels
in a pickle of its own, which may name no class.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from ray_async._core.codec import ArgRef
from ray_async._core.object_ref import ObjectRef
from ray_async.cluster.foreign import ForeignValue

__all__ = ("pack", "pack_call", "unpack", "unpack_call")

#: Makes of a reference what another agent knows it by, and back.
Export = Callable[[Any], list[Any]]
Import = Callable[[list[Any]], Any]


def pack(is_pickled: bool, value: Any, export: Export) -> tuple[dict[str, Any], list[Any]]:
    """Make a value ready to be sent.

    Args:
        is_pickled, value: as `portable.read_value` gives them.
        export: called for each reference inside.
    """
    if not is_pickled:
        refs: list[Any] = []
        target = io.BytesIO()
        _PlainPickler(target, refs).dump(value)
        return {"plain": True, "refs": [export(ref) for ref in refs]}, [target.getvalue()]
    stream, buffers, references = value
    header = {"plain": False, "refs": [[offset, number, *export(ref)] for offset, number, ref in references]}
    return header, [stream, *(memoryview(buffer).cast("B") for buffer in buffers)]


def unpack(header: dict[str, Any], frames: list[Any], take: Import) -> Any:
    """The value that came, as this session's store takes it.

    Args:
        header, frames: as `pack` made them.
        take: gives the reference for what `export` has made.
    """
    if header["plain"]:
        return _PlainLoader(frames[0], [take(ref) for ref in header["refs"]]).load()
    keys = [(ref[0], ref[1]) for ref in header["refs"]]
    return ForeignValue(frames[0], frames[1:], keys, [take(ref[2:]) for ref in header["refs"]])


def pack_call(is_pickled: bool, value: Any, n_direct: int, export: Export) -> tuple[dict[str, Any], list[Any]]:
    """The same for a call's arguments, as `portable.read_arguments` gives them."""
    header, frames = pack(is_pickled, value, export)
    return {**header, "direct": n_direct}, frames


def unpack_call(header: dict[str, Any], frames: list[Any], take: Import) -> tuple[Any, tuple[Any, ...]]:
    """A call that came: ``(arguments, references)``.

    Arguments are a tuple of values and references, or what unpickles as ``(args, kwargs)``; then the references in it
    that are arguments themselves follow.
    """
    if header["plain"]:
        args = unpack(header, frames, take)
        return tuple(value.ref if type(value) is ArgRef else value for value in args), ()
    keys = [(ref[0], ref[1]) for ref in header["refs"]]
    refs = [take(ref[2:]) for ref in header["refs"]]
    n = header["direct"]
    direct = dict(zip(keys[:n], refs[:n], strict=True))
    known = {**dict(zip(keys, refs, strict=True)), **{key: ArgRef(ref) for key, ref in direct.items()}}
    return ForeignValue(frames[0], frames[1:], list(known), list(known.values())), tuple(direct.values())


class _PlainPickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO, refs: list[Any]) -> None:
        super().__init__(target, protocol=5)
        self._refs = refs

    def persistent_id(self, value: Any) -> Any:
        if type(value) is ObjectRef or type(value) is ArgRef:
            self._refs.append(value.ref if type(value) is ArgRef else value)
            return len(self._refs) - 1, type(value) is ArgRef
        return None


class _PlainLoader(pickle.Unpickler):
    def __init__(self, data: Any, refs: list[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._refs = refs

    def persistent_load(self, pid: Any) -> Any:
        index, is_argument = pid
        return ArgRef(self._refs[index]) if is_argument else self._refs[index]

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a value of builtins that names {module}.{name}")
