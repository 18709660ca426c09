"""Errors of the state API."""

from __future__ import annotations

__all__ = ("RayStateApiException", "ServerUnavailable")


class RayStateApiException(Exception):
    """A question to the state API that cannot be answered."""


class ServerUnavailable(RayStateApiException):
    """The node does not answer."""
