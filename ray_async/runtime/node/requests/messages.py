"""Messages between processes and the node, and who answers them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("Answer", "Answers", "Message", "Notices")

Message = dict[str, Any]
#: An answer, or what will have it once others have been asked.
Answer = Message | Coroutine[Any, Any, Message]
#: By operation: what makes the answer to a request, and what takes note of a message that has none.
Answers = dict[str, Callable[["Peer", Message], Answer]]
Notices = dict[str, Callable[["Peer", Message], None]]
