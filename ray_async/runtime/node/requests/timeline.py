"""The timeline: times of finished tasks, as workers report them and Chrome's trace format shows them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ray_async.engine.state import TraceEvent
from ray_async.runtime.node.requests.messages import Answers, Message, Notices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ray_async.transport.server import Peer

__all__ = ("Timeline",)

_MAX_TIMES = 100_000


class Timeline:
    """The latest times of tasks.

    Args:
        config: of the node: ``timeline`` says whether times are recorded, ``node_ip`` whose they are.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._times: deque[tuple[int, str, int, int, int]] = deque(maxlen=_MAX_TIMES)
        self.answers: Answers = {"timeline": lambda peer, m: {"value": self.events()}}
        self.notices: Notices = {"trace": self._trace}

    def _trace(self, peer: Peer, message: Message) -> None:
        pid = int(message["pid"])
        for name, start, end, number in message["rows"]:
            self._times.append((pid, str(name), int(start), int(end), int(number)))

    def events(self) -> list[TraceEvent]:
        """Times as events of Chrome's trace format, in microseconds.

        Raises:
            RuntimeError: they are not recorded.
        """
        if not self._config.get("timeline"):
            raise RuntimeError(
                "times of tasks are not recorded: start with RAY_ASYNC_PROFILING=1, or with "
                "init(_system_config={'profiling': True})"
            )
        ip = self._config["node_ip"]
        return [
            {
                "cat": "task",
                "name": name,
                "ph": "X",
                "ts": start / 1000,
                "dur": (end - start) / 1000,
                "pid": f"node:{ip}",
                "tid": f"worker:{pid}",
                "args": {"task": number},
            }
            for pid, name, start, end, number in self._times
        ]
