"""Entry of a node that no driver owns: reads its configuration from standard input, says when it is ready, and stays.

One line of JSON on standard output is all that the starter gets: ``{"address", "session_dir", "socket"}`` once drivers
can attach, or ``{"error"}``. Afterwards the process keeps none of the starter's descriptors.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from ray_async.engine.init_options import InitOptions
from ray_async.runtime.start.node_config import node_config
from ray_async.runtime.start.node_entry import become_node, redirect_output
from ray_async.runtime.start.store_memory import make_store, remove_store
from ray_async.spec.node_options import NODE_OPTIONS

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig

__all__ = ("head_config", "main")

_NAMES = frozenset(option.name for option in NODE_OPTIONS)


def head_config(given: dict[str, Any]) -> NodeConfig:
    """Complete a head's configuration as the command line gives it.

    Args:
        given: ``address``, ``node_ip_address`` where that is another machine's, and whatever else of the options of
            ``ray_async start`` was given.

    Raises:
        ValueError: an unknown key, or a value that is not allowed.
    """
    unknown = sorted(set(given) - _NAMES - {"address", "head"})
    if unknown:
        raise ValueError(f"a node knows no setting {', '.join(unknown)}")
    address = str(given["address"])
    wanted: dict[str, Any] = {"node_ip_address": address.rpartition(":")[0] or None}
    wanted.update((name, given[name]) for name in _NAMES if given.get(name) is not None)
    config = node_config(InitOptions(**wanted))
    return {**config, "address": address, "control_fd": -1, "listen_fd": -1, "head": True}


def main() -> None:
    """Be a head node until SIGTERM."""
    given = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    config: NodeConfig = {}
    try:
        config = head_config(given)
        session_dir = config["session_dir"]
        redirect_output(os.path.join(session_dir, "node.log"))
        arena = make_store(config)
    except Exception as error:
        # Whatever it is, the starter shows it to the user.
        _say(answer, {"error": f"{type(error).__name__}: {error}"})
        if config:
            remove_store(config)
            shutil.rmtree(config["session_dir"], ignore_errors=True)
        raise SystemExit(1) from error
    ready = {
        "address": config["address"],
        "session_dir": session_dir,
        "socket": os.path.join(session_dir, "node.sock"),
    }
    become_node(arena, config, on_ready=lambda: _say(answer, ready), close_in_zygote=(answer,))


def _say(descriptor: int, message: dict[str, Any]) -> None:
    # A starter that is gone by now is no reason to end.
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, json.dumps(message).encode() + b"\n")
    os.close(descriptor)


if __name__ == "__main__":
    main()
