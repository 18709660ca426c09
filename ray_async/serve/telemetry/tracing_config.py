"""The configuration of tracing."""

from __future__ import annotations

from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("TracingConfig",)


@dataclass(frozen=True)
class TracingConfig:
    """Where replicas send OpenTelemetry's spans; needs ``opentelemetry-sdk``.

    Args:
        exporter_import_path: A function without arguments that gives a list of span processors, as
            ``module:function``; called in each replica.
        sampling_ratio: The share of traces that are recorded, from 0 to 1, where a caller has not decided that already.

    Raises:
        ValueError: A value that is not allowed.

    Example:
        >>> serve.start(tracing_config=serve.TracingConfig("shop.tracing:processors"))
    """

    exporter_import_path: str
    sampling_ratio: float = 1.0

    def __post_init__(self) -> None:
        module, _, function = self.exporter_import_path.partition(":")
        if not module or not function:
            raise ValueError(f"exporter_import_path must be 'module:function', but is {self.exporter_import_path!r}")
        if not 0 <= self.sampling_ratio <= 1:
            raise ValueError(f"sampling_ratio must be from 0 to 1, but is {self.sampling_ratio!r}")
