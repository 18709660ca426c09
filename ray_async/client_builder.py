"""Connections by Ray's client builder, by the import path that programs use; at home in `api.client_builder`."""

from ray_async.api.client_builder import ClientBuilder, ClientContext, client

__all__ = (
    "ClientBuilder",
    "ClientContext",
    "client",
)
