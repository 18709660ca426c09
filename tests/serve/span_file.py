"""Spans in a file of Serve's folder, where tests read them."""

import json
from typing import Any

from ray_async.serve.names import folder

__all__ = ("processors", "spans")


def processors() -> list[Any]:
    """What replicas send their spans to."""
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    file = (folder() / "spans.jsonl").open("a", buffering=1)
    return [SimpleSpanProcessor(ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + "\n"))]


def spans(request_id: str) -> dict[str, dict[str, Any]]:
    """The spans of a request by their names."""
    try:
        lines = (folder() / "spans.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return {}
    found = [json.loads(line) for line in lines]
    return {span["name"]: span for span in found if span["attributes"]["ray.serve.request_id"] == request_id}
