"""Spans of OpenTelemetry: one for each request, and one for each call by handle below it.

Nothing of OpenTelemetry is imported unless a `TracingConfig` asks for it, or the program has loaded it itself. The
context goes with calls by handle, as it does with all calls of the session.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from ray_async.serve.exceptions import RayServeException
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = ("Span", "Tracer", "get_tracer")

_NAME = "ray_async.serve"


def get_tracer(config: TracingConfig | None) -> Tracer | None:
    """The tracer of this process; None where nobody traces.

    Args:
        config: Where spans go; None: where the program itself has said that they go, if it has.

    Raises:
        RayServeException: OpenTelemetry's SDK is not installed, or the function is not there.
    """
    if config is not None:
        _configure(config)
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return Tracer()


def _configure(config: TracingConfig) -> None:
    try:
        trace: Any = import_module("opentelemetry.trace")
        sdk: Any = import_module("opentelemetry.sdk.trace")
        sampling: Any = import_module("opentelemetry.sdk.trace.sampling")
    except ModuleNotFoundError as error:
        raise RayServeException(f"tracing_config needs {error.name}: pip install opentelemetry-sdk") from None
    if isinstance(trace.get_tracer_provider(), sdk.TracerProvider):
        return  # the program's own
    module, _, name = config.exporter_import_path.partition(":")
    function = getattr(import_module(module), name, None)
    if not callable(function):
        raise RayServeException(f"tracing_config names {config.exporter_import_path!r}, which is no function")
    provider = sdk.TracerProvider(sampler=sampling.ParentBasedTraceIdRatio(config.sampling_ratio))
    for processor in function():
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)


class Tracer:
    """Makes spans, by what the program has loaded of OpenTelemetry."""

    def __init__(self) -> None:
        self._trace: Any = import_module("opentelemetry.trace")
        self._context: Any = import_module("opentelemetry.context")
        self._propagate: Any = import_module("opentelemetry.propagate")
        self._tracer = self._trace.get_tracer(_NAME)

    @property
    def in_span(self) -> bool:
        """Whether a span is there already, in this process or as it came with a call."""
        return bool(self._trace.get_current_span().get_span_context().is_valid)

    def http(self, scope: dict[str, Any], request_id: str, app: str, deployment: str) -> Span:
        """The span of an HTTP request; its parent is what the client's headers say."""
        method = scope.get("method", "WEBSOCKET")
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {"http.request.method": method, "url.path": scope["path"]}
        return self._start(
            method, self._trace.SpanKind.SERVER, attributes, (request_id, app, deployment), carrier=carrier
        )

    def call(self, method: str, request_id: str, app: str, deployment: str) -> Span:
        """The span of a call by handle; its parent came with the call."""
        return self._start(f"{deployment}.{method}", self._trace.SpanKind.SERVER, {}, (request_id, app, deployment))

    def _start(
        self,
        name: str,
        kind: Any,
        attributes: dict[str, str],
        about: tuple[str, str, str],
        carrier: dict[str, str] | None = None,
    ) -> Span:
        keys = ("ray.serve.request_id", "ray.serve.application", "ray.serve.deployment")
        attributes |= dict(zip(keys, about, strict=True))
        parent = None if carrier is None else self._propagate.extract(carrier)
        span = self._tracer.start_span(name, parent, kind, attributes)
        token = self._context.attach(self._trace.set_span_in_context(span, parent))
        return Span(span, lambda: self._context.detach(token), self._trace)


class Span:
    """A span that is the current one until its end, in the context in which it was started.

    Args:
        span: OpenTelemetry's span.
        leave: Makes the one before the current one.
        trace: OpenTelemetry's module.
    """

    def __init__(self, span: Any, leave: Any, trace: Any) -> None:
        self._span = span
        self._leave = leave
        self._trace = trace

    def failed(self, error: BaseException) -> None:
        """Note an exception."""
        self._span.record_exception(error)

    def end_http(self, method: str, route: str, status: int | str, failed: bool) -> None:
        """End the span of an HTTP request."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        self._end(failed, str(status))

    def end_call(self, status: str) -> None:
        """End the span of a call; its status is "OK", or what else became of it."""
        self._end(status != "OK", status)

    def _end(self, failed: bool, text: str) -> None:
        if failed:
            self._span.set_status(self._trace.StatusCode.ERROR, text)
        self._span.end()
        self._leave()
