"""Blocks that lie in the store: through a function, and to a loop."""

from bench.data.rows import memory_row
from bench.subject import Bar, Reference, Row, Subject, Unit

__all__ = ("SUBJECT",)

GIB = 1 << 30
_sizes = {"bytes": 4 * GIB, "store_bytes": 12 * GIB}
_quick = {"bytes": 1 << 20, "store_bytes": 256 << 20}

_identity = Row(
    "map_batches(identity) over 4 GiB in the store",
    "identity",
    unit=Unit.BANDWIDTH,
    bar=Bar(2, "≥ 0.5 of memcpy", Reference(None, "memcpy")),
    params=_sizes,
    quick=_quick,
)
_batches = Row(
    "iter_batches over 4 GiB in the store",
    "iter_batches",
    unit=Unit.BANDWIDTH,
    bar=Bar(4 * GIB / 5e9, "≥ 5 GB/s of views"),
    params=_sizes,
    quick=_quick,
)
_torch = Row(
    "iter_torch_batches over 1 GiB in the store",
    "iter_torch",
    unit=Unit.BANDWIDTH,
    bar=Bar(1 / 0.9, "≥ 0.9 of a loop by hand", Reference(None, "torch_loop")),
    params={"bytes": GIB, "store_bytes": 12 * GIB},
    quick=_quick,
)

SUBJECT = Subject("blocks", "Blocks in the store", (_identity, memory_row(_identity), _batches, _torch))
