"""Health: asking a replica whether it is well."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ray_async.exceptions import RayError, RayTaskError
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.deaths import DEATHS
from ray_async.serve.stack_dump import blocking_frame, stack_path

__all__ = ("Illness", "check")


class Illness(Exception):
    """A replica that is not well; the text says why."""


async def check(replica: ReplicaHandle, timeout_s: float, folder: Path) -> None:
    """Run a replica's own check.

    Args:
        replica: The replica.
        timeout_s: Seconds for its answer.
        folder: Serve's folder.

    Raises:
        Illness: Its check has raised, or it has not answered in time; then the text names what blocks its loop.
        RayError: It has died: one of `DEATHS`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await replica.actor.check_health.remote()
        replica.silent = False
    except RayTaskError as error:
        replica.silent = False
        raise Illness(str(error)) from error
    except DEATHS:
        raise
    except RayError as error:
        raise Illness(str(error)) from error
    except TimeoutError:
        replica.silent = True
        what = await asyncio.to_thread(blocking_frame, replica.pid, stack_path(folder, replica.place))
        raise Illness(f"it has not answered within {timeout_s} seconds: {what}") from None
