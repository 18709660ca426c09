"""Hooks of the compiled core: waiting on loops, raising stored errors, pickling, carried context."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ray_async._core import arena as arena_module
from ray_async._core import codec, object_ref, store, submission
from ray_async.runtime.session import read_errors
from ray_async.serialization import pickling as serialization

if TYPE_CHECKING:
    from ray_async.runtime.session.core_session import CoreSession

__all__ = ("install", "remove")


def install(session: CoreSession) -> None:
    """Have the core call back into a session, which becomes the process's."""
    # The hooks outlive the session, and must not keep it: all of the shared memory stays mapped with it.
    this = weakref.ref(session)

    def live() -> CoreSession:
        session = this()
        if session is None:
            raise ValueError("this object reference belongs to a session that has been shut down")
        return session

    arena_module.set_hooks(full=read_errors.store_full, node_died=lambda: live().node_died())
    codec.set_hooks(make_pickler=serialization.make_pickler, explain=serialization.explain, load_failed=_load_failed)
    store.set_hooks(
        raise_error=read_errors.raise_error, timed_out=read_errors.timed_out, node_died=lambda: live().node_died()
    )
    submission.set_hooks(carry=lambda options: live().carrier.carry(options))
    object_ref.set_hooks(
        load_face=lambda: live().loops,
        waiter=lambda: live().loops.binding().waiter,
        node_died=lambda: live().node_died(),
        ended=read_errors.session_ended,
        future=lambda ref: live().thread_future(ref),
        as_future=lambda ref: live().loops.as_future(ref),
        out_of_band=lambda ref: read_errors.check_out_of_band(ref, live().settings),
    )
    arena_module.set_current(session.arena)


def _load_failed(*facts: Any) -> BaseException:
    from ray_async.runtime.session.load_failure import load_failed  # few sessions see such a value

    return load_failed(*facts)


def remove() -> None:
    """Have the core call nobody any more."""
    arena_module.clear_hooks()
    submission.set_hooks(carry=lambda options: options)
    arena_module.set_current(None)
    codec.forget_encoder()
