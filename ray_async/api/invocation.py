"""Invocations: the callable behind every ``.remote``, as thin as Python allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async.engine.current import current_session, get_session
from ray_async.engine.protocol import CallTemplate, Session
from ray_async.spec.descriptors import InvocationDecorator
from ray_async.spec.signature import Signature

__all__ = ("make_invocation",)


_ANYTHING = Signature("", varargs=True, varkeywords=True)


def make_invocation(
    signature: Callable[[], Signature],
    prepare: Callable[[Session], CallTemplate],
    decorator: InvocationDecorator | None = None,
) -> Callable[..., Any]:
    """Make a callable that checks its arguments and submits them.

    The template is prepared at the first call of each session and kept: later calls compare one reference and two
    integers before they are in the compiled core.

    Args:
        signature: Gives what the remote callable accepts; asked for at the first call.
        prepare: Makes the template for a session.
        decorator: Wraps the submission, called with a tuple and a mapping. What it is given may be anything; what it
            passes on must fit.

    Returns:
        The callable. It raises TypeError where the arguments do not fit.
    """
    bound: object = current_session  # no session is this object, so that the first call prepares
    accepts: Signature
    submit: CallTemplate
    low, high = 0, -1

    def remote(*args: Any, **kwargs: Any) -> Any:
        nonlocal bound, accepts, submit, low, high
        if current_session.session is not bound:
            accepts = signature() if decorator is None else _ANYTHING
            accepts.check(len(args), kwargs)
            low, high = accepts.minimum, accepts.maximum
            session = get_session()
            template = prepare(session)
            submit = template if decorator is None else _decorate(decorator, signature(), template)
            current_session.bindings.add(unbind)
            bound = session  # last: a thread that sees the session sees its template
        if kwargs:
            accepts.check(len(args), kwargs)
            return submit(args, kwargs)
        if not low <= len(args) <= high:
            accepts.check(len(args), ())
        return submit(args, None)

    def unbind(ended: bool) -> None:
        nonlocal bound, submit
        bound = current_session
        if ended:
            submit = _ended

    remote.unbind = unbind  # type: ignore[attr-defined]  # keeps it alive for as long as the invocation
    return remote


def _ended(args: tuple[Any, ...], kwargs: dict[str, Any] | None, /) -> Any:
    """Stands for the template of a session that a second thread ends in the middle of a call."""
    from ray_async.exceptions import RaySystemError  # the error tree is not paid for by importing the package

    raise RaySystemError("The session ended during this call: call init() to start another one.")


def _decorate(decorator: InvocationDecorator, accepts: Signature, template: CallTemplate) -> CallTemplate:
    def invoke_decorated(args: Any, kwargs: Any) -> Any:
        accepts.check(len(args), kwargs or {})
        return template(tuple(args), kwargs or None)

    invoke = decorator(invoke_decorated)

    def submit(args: tuple[Any, ...], kwargs: dict[str, Any] | None, /) -> Any:
        return invoke(args, kwargs or {})

    return submit
