"""Objects as sessions describe them: where they are, and references that become ready."""

from __future__ import annotations

from typing import Protocol, TypedDict

__all__ = ("AddressInfo", "ObjectLocation", "ReadySet")


class ObjectLocation(TypedDict):
    """Where an object is.

    Attributes:
        node_ids: The nodes that have a copy, in hexadecimal digits.
        object_size: Bytes; None while the object is not there.
        did_spill: Whether it is on disk at the moment.
    """

    node_ids: list[str]
    object_size: int | None
    did_spill: bool


class AddressInfo(TypedDict):
    """Addresses of a session's parts, under Ray's names; an engine that lacks a part gives "" or 0."""

    node_ip_address: str
    object_store_address: str
    raylet_socket_name: str
    webui_url: str
    session_dir: str
    metrics_export_port: int
    gcs_address: str
    address: str
    dashboard_agent_listening_port: int
    node_id: str


class ReadySet(Protocol):
    """A set of references, watched on one event loop; each is known by its index in that set."""

    @property
    def count(self) -> int:
        """How many have become ready and were not taken."""
        ...

    def take(self) -> int:
        """Give the index of the one that has become ready first, of those not taken.

        Raises:
            IndexError: There is none.
        """
        ...

    async def until(self, count: int) -> None:
        """Wait until so many are ready and not taken.

        Raises:
            NodeDiedError: Nothing will become ready any more.
        """
        ...

    def close(self) -> None:
        """Stop watching."""
