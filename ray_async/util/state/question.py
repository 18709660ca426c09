"""Questions to a node about its state: the session's own node, or another one of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.engine.current import get_session, has_session
from ray_async.exceptions import GetTimeoutError, NodeDiedError
from ray_async.runtime.start import node_control
from ray_async.transport.channel import Channel, ChannelClosedError, connect_unix
from ray_async.util.control import control_session
from ray_async.util.state.exception import ServerUnavailable

__all__ = ("ask",)

# Of these nothing is left to do: rows have all fields, are never cut off by the node, and come with no explanations.
_FULFILLED = frozenset({"detail", "raise_on_missing_output", "explain", "_explain"})


def ask(op: str, address: str | None, timeout: float | None, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ask for rows.

    Args:
        op: what is listed.
        address: of a node of this machine; None and "auto" are the session's, where there is one.
        timeout: seconds to wait for the answer; None waits for ever.
        options: others of Ray's.

    Raises:
        ServerUnavailable: no node runs there, or it does not answer in time.
        TypeError: an option that Ray has not either.
        ValueError: a timeout that is not positive.
    """
    unknown = sorted(set(options) - _FULFILLED)
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}; others are {', '.join(sorted(_FULFILLED))}")
    if timeout is not None and timeout <= 0:
        raise ValueError(f"timeout must be positive or None, but is {timeout} seconds")
    answer = _ask_session(op, timeout) if _is_own(address) else _ask_other(str(address), op, timeout)
    return list(answer.values()) if isinstance(answer, dict) else list(answer)


def _is_own(address: str | None) -> bool:
    if address is None or (address == "auto" and has_session()):
        return True
    return has_session() and get_session().address_info()["address"] == address


def _ask_session(op: str, timeout: float | None) -> Any:
    try:
        return control_session().control(op, limit_s=timeout)
    except (NodeDiedError, GetTimeoutError) as error:
        raise ServerUnavailable(str(error)) from error


def _ask_other(address: str, op: str, timeout: float | None) -> Any:
    entry = node_control.find_node(address)
    if entry is None:
        raise ServerUnavailable(f"no node runs at {address!r} on this machine")
    try:
        channel = Channel(connect_unix(entry.socket))
        try:
            answer = channel.request(op) if timeout is None else channel.request_within(timeout, op)
        finally:
            channel.close()
    except (OSError, ChannelClosedError) as error:
        raise ServerUnavailable(f"the node at {address} does not answer: {error}") from error
    if answer is None:
        raise ServerUnavailable(f"the node at {address} has not answered within {timeout} s")
    if "error" in answer:
        raise ServerUnavailable(f"the node at {address} refused: {answer['error']}")
    return answer["value"]
