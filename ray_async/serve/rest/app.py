"""The ASGI application of the REST API."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import ray_async as ray
from ray_async.serve.deploying.schema import ConfigError, ServeDeploySchema
from ray_async.serve.exceptions import DeploymentUnavailableError, ExternalScalerDisabledError, RayServeException
from ray_async.serve.ingress.body import BodyTooLarge, Receive, limited
from ray_async.serve.ingress.reply import Send, answer
from ray_async.serve.rest.building import BuiltConfig, build_config

if TYPE_CHECKING:
    from ray_async.serve.ingress.connection import Connection

__all__ = ("Instance", "RestApp")

logger = logging.getLogger("ray_async.serve")
_LIMIT = 10 * 2**20  # bytes of a config
_JSON = b"application/json"
_SCALE = re.compile(r"/api/v1/applications/(?P<app>[^/]+)/deployments/(?P<deployment>[^/]+)/scale")


class Instance(Protocol):
    """What the API shows and changes: the controller."""

    async def details(self) -> dict[str, Any]:
        """What runs, as JSON has it."""
        ...

    async def deploy_declared(self, built: BuiltConfig) -> None:
        """Want the applications of a config from now on, and nothing that an earlier one has named."""
        ...

    async def delete_all(self) -> None:
        """Delete all applications."""
        ...

    async def scale(self, app: str, deployment: str, number: int) -> None:
        """Want a number of replicas of a deployment."""
        ...


class RefusedError(RayServeException):
    """A request that is answered by an error.

    Args:
        status: The status.
        text: What is wrong.
        errors: The same for each field, if it is about fields.
        headers: More headers.
    """

    def __init__(
        self,
        status: int,
        text: str,
        errors: list[dict[str, str]] | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.errors = errors
        self.headers = headers or []


class RestApp:
    """Answers the requests of those who have the token.

    Args:
        instance: What it shows and changes.
        token: The token.
        path: Folders where modules are found.
    """

    def __init__(self, instance: Instance, token: str, path: tuple[str, ...]) -> None:
        self._instance = instance
        self._token = token.encode()
        self._path = path
        self._routes: dict[str, dict[str, Callable[[Receive, dict[bytes, bytes]], Awaitable[Any]]]] = {
            "/api/serve/applications": {"GET": self._get, "PUT": self._put, "DELETE": self._delete},
            "/api/ray/version": {"GET": self._version},
        }

    def elsewhere(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Websockets go nowhere else."""

    async def answer(self, connection: Connection, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request of a connection; it ends when its client goes."""
        connection.running = asyncio.current_task()
        try:
            await self(scope, receive, send)
        except asyncio.CancelledError:
            if connection.refused is not None:
                status, text = connection.refused
                await answer(send, status, json.dumps({"error": text}).encode(), _JSON)
            elif not connection.gone:
                raise
        finally:
            connection.running = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            status, value, headers = 200, await self._answer(scope, receive), []
        except RefusedError as error:
            status, headers = error.status, error.headers
            value = {"error": str(error)} | ({} if error.errors is None else {"errors": error.errors})
        except Exception as error:
            logger.exception("A request of the REST API failed.")
            status, value, headers = 500, {"error": f"{type(error).__name__}: {error}"}, []
        body = b"" if value is None else json.dumps(value, default=str).encode()
        await answer(send, status, body, _JSON, headers)

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> Any:
        headers = dict(scope["headers"])
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        # The time that this takes does not depend on how much of the token is right.
        if not hmac.compare_digest(given.strip(), self._token) or scheme.lower() != b"bearer":
            raise RefusedError(401, "the token is missing or wrong", headers=[(b"www-authenticate", b"Bearer")])
        path = scope["path"].rstrip("/")
        methods = self._routes.get(path)
        scaled = _SCALE.fullmatch(path)
        if scaled is not None:
            methods = {"POST": partial(self._scale, scaled["app"], scaled["deployment"])}
        if methods is None:
            raise RefusedError(404, f"there is nothing at {scope['path']}, but at {', '.join(self._routes)}")
        method = methods.get(scope["method"])
        if method is None:
            allowed = ", ".join(methods)
            raise RefusedError(405, f"the methods are {allowed}", headers=[(b"allow", allowed.encode())])
        return await method(receive, headers)

    async def _version(self, receive: Receive, headers: dict[bytes, bytes]) -> Any:
        return {"version": "1", "ray_async_version": ray.__version__}

    async def _get(self, receive: Receive, headers: dict[bytes, bytes]) -> Any:
        return await self._instance.details()

    async def _delete(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        await self._instance.delete_all()

    async def _scale(self, app: str, deployment: str, receive: Receive, headers: dict[bytes, bytes]) -> Any:
        wanted = await _json(receive, headers)
        number = wanted.get("target_num_replicas") if isinstance(wanted, dict) else None
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise RefusedError(400, f"target_num_replicas must be an integer of 0 or more, but is {number!r}")
        try:
            await self._instance.scale(app, deployment, number)
        except DeploymentUnavailableError as error:
            raise RefusedError(404, str(error)) from None
        except ExternalScalerDisabledError as error:
            raise RefusedError(412, str(error)) from None
        return {"message": "Scaling request received. Deployment will get scaled asynchronously."}

    async def _put(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        config = await _json(receive, headers)
        try:
            ServeDeploySchema.of(config)
            await self._instance.deploy_declared(await build_config(config, self._path))
        except ConfigError as error:
            raise RefusedError(
                400, str(error), [{"path": path, "message": text} for path, text in error.fields]
            ) from error
        except (RayServeException, OSError) as error:  # a prefix or port that is taken, or another address
            raise RefusedError(409, str(error)) from error


async def _json(receive: Receive, headers: dict[bytes, bytes]) -> Any:
    try:
        return json.loads(await _whole(limited(receive, headers, _LIMIT)))
    except BodyTooLarge as error:
        raise RefusedError(413, error.detail) from None
    except ValueError as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from None


async def _whole(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
