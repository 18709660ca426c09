"""Parallel iterators: items that come from actors, one shard each, with lazy transformations on either side.

`sources` makes them, `parallel` transforms them where the items are (`worker`), `local` where they are read.
"""

from ray_async.util.iter.local import LocalIterator
from ray_async.util.iter.parallel import ParallelIterator
from ray_async.util.iter.sources import from_actors, from_items, from_iterators, from_range
from ray_async.util.iter.worker import ParallelIteratorWorker

__all__ = (
    "LocalIterator",
    "ParallelIterator",
    "ParallelIteratorWorker",
    "from_actors",
    "from_items",
    "from_iterators",
    "from_range",
)
