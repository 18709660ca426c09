"""Languages and modes of processes, as programs written for Ray name them."""

from __future__ import annotations

from enum import Enum

__all__ = ("LOCAL_MODE", "SCRIPT_MODE", "WORKER_MODE", "Language")

SCRIPT_MODE = 0
WORKER_MODE = 1
LOCAL_MODE = 2


class Language(Enum):
    """The language of a function or an actor. Only PYTHON is run here."""

    PYTHON = 0
    JAVA = 1
    CPP = 2
