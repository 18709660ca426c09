"""The errors of `ray_async.util.state.exception`."""

from __future__ import annotations

from ray_async.util.state.exception import RayStateApiException, ServerUnavailable

__all__ = ("RayStateApiException", "ServerUnavailable")
