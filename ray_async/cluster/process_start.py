"""The start of a process of the cluster's own: it is given its configuration, and answers once."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

__all__ = ("read_configuration",)


def read_configuration() -> tuple[dict[str, Any], Callable[[dict[str, Any]], None]]:
    """Read the configuration, JSON on standard input, and have all that is printed go to the log that it names.

    Returns:
        The configuration, and what writes the one line of JSON that is the answer to the former standard output.
    """
    config = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    with open(config["log"], "ab", 0) as log, open(os.devnull, "rb") as nothing:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        os.dup2(nothing.fileno(), 0)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("distributed").setLevel(logging.WARNING)

    def say(message: dict[str, Any]) -> None:
        os.write(answer, json.dumps(message).encode() + b"\n")
        os.close(answer)

    return config, say
