"""The handlers of the benchmark for LitServe, which runs them in processes that import this file.

Annotations are not strings here: LitServe reads them.
"""

from typing import Any

import litserve

from bench.drivers import serve_work

__all__ = ("Echo", "Pipeline")


class Echo(litserve.LitAPI):  # type: ignore[misc]  # where it is not installed, nothing is known of it
    """Answers by a short text."""

    def setup(self, device: str) -> None:
        """Nothing is loaded."""

    def decode_request(self, request: dict[str, Any]) -> Any:
        """What `predict` gets."""
        return request

    def predict(self, value: Any) -> Any:
        """The answer."""
        return "hello"

    def encode_response(self, output: Any) -> Any:
        """The answer as JSON."""
        return {"output": output}


class Pipeline(Echo):
    """Both stages."""

    def decode_request(self, request: dict[str, Any]) -> Any:
        """The first stage."""
        return serve_work.preprocess(request["text"])

    def predict(self, value: Any) -> Any:
        """The second stage."""
        return serve_work.classify(value)
