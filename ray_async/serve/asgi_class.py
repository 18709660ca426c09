"""Classes that serve HTTP by an ASGI application: `ingress`."""

from __future__ import annotations

import copyreg
import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray_async.serve.loaded import loaded
from ray_async.serve.routed_methods import bind_routes, carry_included_routers

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.datastructures import State
    from starlette.responses import PlainTextResponse

__all__ = ("ASGI_ATTRIBUTE", "ingress", "instantiate", "let_state_be_pickled")

C = TypeVar("C", bound=type)
ASGI_ATTRIBUTE = "_serve_asgi"


def let_state_be_pickled() -> None:
    """Let Starlette's `State` be sent, where Starlette is in use; else it would look for its attributes in itself, for
    ever, once it is unpickled."""
    datastructures = sys.modules.get("starlette.datastructures")
    if datastructures is not None:
        copyreg.pickle(datastructures.State, _reduce_state)


def _reduce_state(state: State) -> tuple[Any, ...]:
    return type(state), (dict(state._state),)


def ingress(app: Any) -> Callable[[C], C]:
    """Serve HTTP by a FastAPI or other ASGI application; stands below `deployment`.

    Methods of the class, or of its bases, that are routes of a FastAPI application get the replica's instance as
    ``self``, also by routers that are included before or after the class. Routes of other classes are left out.

    Args:
        app: The application, or a function without arguments that makes it, called in the replica; or the import path
            of either, as ``module:attribute``, which the replica imports.

    Raises:
        ValueError: What is decorated is no class, or the import path is none.

    Example:
        >>> app = FastAPI()
        >>> @serve.deployment
        ... @serve.ingress(app)
        ... class Api:
        ...     @app.get("/hello")
        ...     def hello(self):
        ...         return "hello"
    """

    if isinstance(app, str) and not all(app.partition(":")):
        raise ValueError(f"the import path of an ASGI application is module:attribute, but got {app!r}")
    let_state_be_pickled()

    def decorate(cls: C) -> C:
        if not inspect.isclass(cls):
            raise ValueError("@serve.ingress must be used with a class, below @serve.deployment")
        carry_included_routers()
        wrapped = type(cls.__name__, (cls,), {ASGI_ATTRIBUTE: (app,)})
        functools.update_wrapper(wrapped, cls, updated=())  # also names the class in __wrapped__
        return wrapped  # type: ignore[return-value]

    return decorate


def instantiate(instance: Any) -> Any:
    """The ASGI application of a replica's object, with its methods' routes bound to the object; None if it has none."""
    holder = getattr(type(instance), ASGI_ATTRIBUTE, None)
    if holder is None:
        return None
    app = holder[0]
    if isinstance(app, str):
        from pkgutil import resolve_name  # which other applications do without

        app = resolve_name(app)
    if inspect.isfunction(app) and not inspect.signature(app).parameters:
        app = app()
    if hasattr(app, "router"):
        bind_routes(app.router, instance)
    let_state_be_pickled()
    if isinstance(app, loaded("starlette.applications", "Starlette")):
        _answer_refusals(app)
    return app


def _answer_refusals(app: Starlette) -> None:
    """Let refusals of what handlers call have the status that they have elsewhere, unless the application answers them.

    By itself it answers them by 500.
    """
    for kind in (BackPressureError, DeploymentUnavailableError, RequestCancelledError):
        if not any(known in app.exception_handlers for known in kind.__mro__):
            app.add_exception_handler(kind, _refusal)


async def _refusal(request: Any, error: Exception) -> PlainTextResponse:
    from starlette.responses import PlainTextResponse

    from ray_async.serve.ingress.reply import status_of

    status, text = status_of(error)
    return PlainTextResponse(text, status, getattr(error, "headers", None))
