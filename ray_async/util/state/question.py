"""Questions to a node about its state: the session's own node, or another one of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ray_async.engine.current import get_session, has_session
from ray_async.engine.registry import get_engine
from ray_async.engine.state import State, StateKind
from ray_async.exceptions import GetTimeoutError, NodeDiedError, RaySystemError
from ray_async.util.state.exception import ServerUnavailable

__all__ = ("answer", "ask")

T = TypeVar("T")

# Of these nothing is left to do: rows have all fields, are never cut off by the node, and come with no explanations.
_FULFILLED = frozenset({"detail", "raise_on_missing_output", "explain", "_explain"})


def ask(
    kind: StateKind, address: str | None, timeout: float | None, options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Ask for the rows of a kind; arguments and errors as in `answer`."""
    return answer(lambda state: state.rows(kind, timeout), address, timeout, options)


def answer(question: Callable[[State], T], address: str | None, timeout: float | None, options: Mapping[str, Any]) -> T:
    """Ask a node.

    Args:
        question: asks its state.
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
    own = get_session().state if _is_own(address) else None
    try:
        return question(own or get_engine().state_at(str(address)))
    except (ConnectionError, NodeDiedError, GetTimeoutError, RaySystemError) as error:
        raise ServerUnavailable(str(error)) from error


def _is_own(address: str | None) -> bool:
    if address is None or (address == "auto" and has_session()):
        return True
    return has_session() and get_session().address_info()["address"] == address
