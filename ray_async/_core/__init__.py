"""The compiled core: shared memory, object store, queues and serialization.

`arena` maps the session's memory; `object_ref`, `codec` and `store` are objects and their references; `submission`,
`execution` and `cancellation` are a task's life; `own_slot` is a worker's lease; `loop_waiter` lets an event loop wait,
and `awaiting` makes references futures there; `node_view`, `record_view`, `object_view` and `spill_view` are what the
node process sees. There is mechanism here and no policy: what to run where is decided above. `includes/*.h` has the
layout.
"""

from __future__ import annotations

import sys

if "t" in getattr(sys, "abiflags", "") or not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError(
        "ray_async does not run on free-threaded builds of Python, where nothing keeps threads apart in its compiled "
        "modules: use an ordinary build of the same version"
    )

try:
    from ray_async._core.arena import build_info, live_objects
except ModuleNotFoundError as error:
    if error.name != "ray_async._core.arena":
        raise
    raise ImportError(
        "the compiled modules of ray_async are not built for this Python: run `make build` in the source tree, "
        "or install a wheel (`pip install ray_async`)"
    ) from error

__all__ = ("build_info", "live_objects")
