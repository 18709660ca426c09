"""Names that programs written for Ray import."""

from __future__ import annotations

__all__ = ("ray_address_to_api_server_url",)


def ray_address_to_api_server_url(address: str | None) -> str:
    """Give the dashboard's URL, in Ray.

    Args:
        address: A cluster's.

    Raises:
        ConnectionError: Always.
    """
    raise ConnectionError(f"The cluster at {address!r} has no dashboard, and no server of an API over HTTP.")
