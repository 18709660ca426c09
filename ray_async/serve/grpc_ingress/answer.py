"""The answer to a call by gRPC, in the replica that runs it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ray_async.serve.context import RequestContext
from ray_async.serve.grpc_ingress.values import CallOutcome, RayServegRPCContext
from ray_async.serve.replica.runner import Runner

__all__ = ("answer",)

logger = logging.getLogger("ray_async.serve")


async def answer(
    runner: Runner, request: RequestContext, method: str, received: Any, context: RayServegRPCContext, stream: bool
) -> AsyncIterator[Any]:
    """Run a method, and give its messages, and how it has ended at last.

    Args:
        runner: What runs the user's methods.
        request: The request.
        method: The method's name.
        received: The client's message, or its messages.
        context: What the method sees of the call.
        stream: Whether the method gives several messages.
    """
    if not runner.has(method):
        yield CallOutcome(context, "UNIMPLEMENTED", f"the deployment has no method {method!r}")
        return
    try:
        kwargs = {"grpc_context": context} if runner.takes(method, "grpc_context") else {}
        if stream:
            async with aclosing(runner.stream(method, (received,), kwargs)) as messages:  # type: ignore[type-var]
                async for message in messages:
                    yield message
        else:
            yield await runner.call(method, (received,), kwargs)
    except Exception as error:  # of the user's code
        outcome = CallOutcome.of_error(context, error)
        if outcome.status == "INTERNAL" and context.code() is None:
            logger.error("Request %s failed.", request.request_id, exc_info=error)
        yield outcome
    else:
        yield CallOutcome(context)
