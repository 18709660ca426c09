"""Counts that a process keeps of its requests, by what they end in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ray_async.serve.telemetry.access_log import AccessLog
from ray_async.serve.telemetry.line_format import Origin, one_word
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.route_template import UNMATCHED, RouteTemplates
from ray_async.serve.telemetry.settings import TelemetrySettings
from ray_async.serve.telemetry.spans import Tracer, get_tracer
from ray_async.serve.telemetry.user_metrics import UserMetrics

if TYPE_CHECKING:
    from ray_async.serve.context import RequestContext
    from ray_async.serve.handle.client import Client
    from ray_async.serve.ingress.reply import Reply
    from ray_async.serve.ingress.routes import Route
    from ray_async.serve.telemetry.spans import Span

__all__ = ("Observed", "ObservedCall", "Telemetry")

_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "WEBSOCKET")
)
_CLOSED_WELL = frozenset((1000, 1001, 1005, 1012))  # close codes of websockets that are no errors
_MOST_SOURCES = 1000
_NOWHERE: Route = (UNMATCHED, ("", ""))


class Telemetry:
    """Access lines, counts and spans of this process, each where it is switched on.

    Args:
        source: What the process is.
        client: Its client of Serve, which has its counts and the table.
        folder: Serve's folder.
        config: The deployment's own logging configuration, if it has one.
        process: The name of a process that is no replica.
    """

    def __init__(
        self,
        source: Origin,
        client: Client,
        folder: Path,
        config: ServeLoggingConfig | None = None,
        process: str = "controller",
    ) -> None:
        settings = TelemetrySettings.read(folder)
        self._default = settings.logging
        self._source = source
        self._client = client
        self._counts = client.counts
        self._log = AccessLog(source, config or settings.logging, folder.parent / "logs" / "serve", process)
        self._tracing = settings.tracing
        self._tracer: Tracer | None = None
        self._templates = RouteTemplates(None)
        self._has_routes = False
        self._own = (source.application, source.deployment)
        self._has_lines_only = self._counts is None
        self._sources: dict[tuple[str, str, str], Origin] = {}
        self._writes_own = self._log.config.writes_access
        self._users: UserMetrics | None = None
        if self._counts is not None and source.replica:
            self._users = UserMetrics(self._counts.path.with_suffix(".user"), source)
            self._counts.count("serve_deployment_replica_starts", (source.application, source.deployment))

    def begin_tracing(self) -> None:
        """Make spans from now on, if somebody wants them; called when the user's object is there."""
        self._tracer = get_tracer(self._tracing)
        self._has_lines_only = self._counts is None and self._tracer is None

    def set_application(self, asgi: Any) -> None:
        """Take the routes of the user's ASGI application."""
        self._templates = RouteTemplates(asgi)
        self._has_routes = asgi is not None

    def configure(self, config: ServeLoggingConfig | None) -> None:
        """Log in another way from now on."""
        self._log.configure(config or self._default)
        self._writes_own = self._log.config.writes_access

    def flush(self) -> None:
        """Write what waits; called when no requests come any more."""
        self._log.flush()
        if self._users is not None:
            self._users.write()

    def close(self) -> None:
        """Write what waits, and let go of the loggers."""
        self._log.close()
        if self._users is not None:
            self._users.close()

    def observe(
        self, scope: dict[str, Any], reply: Reply, found: Route | None, task: asyncio.Task[Any] | None
    ) -> Observed | None:
        """Begin to look at an HTTP request or websocket, in the process that has its connection; None: nobody looks.

        Args:
            scope: Its scope.
            reply: Its reply.
            found: The prefix, and the application and deployment that it is for; None where it is for none.
            task: The asyncio task that answers it.
        """
        route = found or _NOWHERE
        if self._has_lines_only:
            if self._writes_own if route[1] == self._own else self._writes_access(*route[1]):
                return Observed(self, scope, reply, route, None, task)
            return None
        if self._counts is not None:
            self._counts.began_http()
        span = None
        if self._tracer is not None and found is not None:
            span = self._tracer.http(scope, reply.request_id, *found[1])
        return Observed(self, scope, reply, route, span, task)

    @property
    def looks(self) -> bool:
        """Whether somebody looks at the requests of the replica that this process is."""
        return self._counts is not None or self._tracer is not None or self._writes_own

    def observe_here(
        self, scope: dict[str, Any], reply: Reply, prefix: str, task: asyncio.Task[Any] | None
    ) -> Observed | None:
        """Begin to look at an HTTP request that another process has handed over to this replica; None: nobody looks."""
        if self._counts is None and self._tracer is None:
            return None
        source, span = self._source, None
        if self._tracer is not None and not self._tracer.in_span:  # else the other process has begun one
            span = self._tracer.http(scope, reply.request_id, source.application, source.deployment)
        return ObservedHere(self, scope, reply, (prefix, self._own), span, task)

    def template(self, scope: dict[str, Any], root: str, prefix: str) -> str:
        """The template of the route that the user's application has found."""
        return self._templates.of(scope, root, prefix)

    def ended_http(self, observed: Observed) -> None:
        """Tell of an HTTP request, or of a websocket, that is over."""
        reply, scope, source = observed.reply, observed.scope, self._source
        prefix, target = observed.route
        ended = reply.completed_at or perf_counter()
        status = reply.status if reply.complete else reply.outcome
        method = scope.get("method", "WEBSOCKET")
        if method not in _METHODS:
            method = "OTHER"
        ran_here = reply.replica == source.replica != ""
        if not ran_here:
            route = reply.route or prefix
        else:
            route = self._templates.of(scope, observed.root, prefix) if self._has_routes else prefix
        if not self._has_lines_only:
            failed = _is_failure(status)
            if self._counts is not None:
                latency = (ended - observed.began) * 1000
                self._counts.ended_http(target[0], route, method, str(status), failed, latency)
                if ran_here:
                    self._count_run(prefix, failed and status >= 500, latency)
            if observed.span is not None:
                observed.span.end_http(method, route, status, failed)
        if not (self._writes_own if ran_here else self._writes_access(*target)):
            return
        if not ran_here:
            source = self._source_of(*target, reply.replica)
            if not target[0]:
                route = one_word(scope["path"])
        self._log.add(source, reply.request_id, method, route, status, observed.began, ended)

    def ended_here(self, observed: Observed) -> None:
        """Tell of an HTTP request that was handed over to this replica; the process that has it writes the line."""
        reply = observed.reply
        status = reply.outcome
        failed = _is_failure(status)
        latency = ((reply.completed_at or perf_counter()) - observed.began) * 1000
        prefix = observed.route[0]
        self._count_run(prefix, failed and status >= 500, latency)
        if observed.span is not None:
            route = self._templates.of(observed.scope, observed.root, prefix)
            observed.span.end_http(method_of(observed.scope), route, status, failed)

    def observe_call(self, method: str, request: RequestContext) -> ObservedCall | None:
        """Begin to look at a call by handle; None: nobody looks."""
        span = None
        if self._tracer is not None:
            span = self._tracer.call(method, request.request_id, self._source.application, self._source.deployment)
        elif self._counts is None and not self._writes_own:
            return None
        return ObservedCall(self, method, request, span)

    def ended_call(self, observed: ObservedCall) -> None:
        """Tell of a call by handle that this replica has run."""
        request, status = observed.request, observed.status
        ended = perf_counter()
        if self._counts is not None:
            self._count_run(request.route, status not in ("OK", "CANCELLED"), (ended - observed.began) * 1000)
        if observed.span is not None:
            observed.span.end_call(status)
        if self._writes_own:
            self._log.add(self._source, request.request_id, "CALL", observed.method, status, observed.began, ended)

    def _count_run(self, route: str, failed: bool, latency_ms: float) -> None:
        source = self._source
        if self._counts is not None:
            self._counts.ran((source.application, source.deployment, source.replica), route, failed, latency_ms)

    def _writes_access(self, app: str, deployment: str) -> bool:
        source = self._source
        if not app or (app == source.application and deployment == source.deployment):
            return self._writes_own
        entry = self._client.table()["deployments"].get(f"{app}#{deployment}")
        return entry is None or bool(entry.get("access_log", True))

    def _source_of(self, app: str, deployment: str, replica: str) -> Origin:
        if replica == self._source.replica and replica:
            return self._source
        key = (app, deployment, replica)
        source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= _MOST_SOURCES:
                self._sources.clear()
            source = self._sources[key] = Origin(*key)
        return source


class Observed:
    """A request that is looked at until it ends.

    Args:
        telemetry: Whom to tell of it.
        scope: Its scope.
        reply: Its reply.
        route: The prefix, application and deployment that it is for.
        span: Its span, if there is one.
        task: The asyncio task that answers it.
    """

    __slots__ = ("began", "reply", "root", "route", "scope", "span", "telemetry")

    def __init__(
        self,
        telemetry: Telemetry,
        scope: dict[str, Any],
        reply: Reply,
        route: Route,
        span: Span | None,
        task: asyncio.Task[Any] | None,
    ) -> None:
        self.began = perf_counter()
        self.telemetry = telemetry
        self.scope = scope
        self.reply = reply
        self.route = route
        self.root = scope.get("root_path", "")  # as the user's application gets it
        self.span = span
        reply.task = task

    def failed(self, error: BaseException) -> None:
        """Note an exception."""
        if self.span is not None:
            self.span.failed(error)

    def end(self) -> None:
        """Tell of its end."""
        self.telemetry.ended_http(self)


class ObservedHere(Observed):
    """A request that another process has handed over, and tells of."""

    __slots__ = ()

    def end(self) -> None:
        """Tell of its end, as far as the replica goes."""
        self.telemetry.ended_here(self)


class ObservedCall:
    """A call by handle that is looked at until it ends.

    Args:
        telemetry: Whom to tell of it.
        method: The method.
        request: The request.
        span: Its span, if there is one.
    """

    __slots__ = ("began", "method", "request", "span", "status", "telemetry")

    def __init__(self, telemetry: Telemetry, method: str, request: RequestContext, span: Span | None) -> None:
        self.began = perf_counter()
        self.telemetry = telemetry
        self.method = method
        self.request = request
        self.span = span
        self.status = "OK"

    def failed(self, error: BaseException) -> None:
        """Note an exception."""
        self.status = "ERROR" if isinstance(error, Exception) else "CANCELLED"
        if self.span is not None:
            self.span.failed(error)

    def end(self) -> None:
        """Tell of its end."""
        self.telemetry.ended_call(self)


def method_of(scope: dict[str, Any]) -> str:
    """The method of a request, of which there are a few: others that clients make up are one."""
    method: str = scope.get("method", "WEBSOCKET")
    return method if method in _METHODS else "OTHER"


def _is_failure(status: int) -> bool:
    return status not in _CLOSED_WELL if status >= 1000 else status >= 400
