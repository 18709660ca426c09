"""``ref.future()``: a ``concurrent.futures.Future`` that a thread completes."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from ray_async.exceptions import RayError

__all__ = ("thread_future",)


def thread_future(session: Any, ref: Any) -> Future[Any]:
    """A future for the value of a reference. Cancelling it leaves the task alone."""
    future: Future[Any] = Future()

    def complete() -> None:
        try:
            value = session.get([ref], None)[0]
        except BaseException as error:
            if not future.cancelled():
                future.set_exception(error.with_traceback(None) if isinstance(error, RayError) else error)
        else:
            if not future.cancelled():
                future.set_result(value)

    threading.Thread(target=complete, name="ray::future", daemon=True).start()
    return future
