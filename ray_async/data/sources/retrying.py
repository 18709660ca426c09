"""Retries of reads and writes that a store has refused for the moment, with waits that grow and differ."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ("RETRIED_WORDS", "retried")

T = TypeVar("T")
#: What errors say that are worth another try.
RETRIED_WORDS = (
    "AWS Error INTERNAL_FAILURE",
    "AWS Error NETWORK_CONNECTION",
    "AWS Error SLOW_DOWN",
    "AWS Error UNKNOWN (HTTP status 503)",
    "AWS Error SERVICE_UNAVAILABLE",
    "HTTP status 503",
    "HTTP status 429",
    "SlowDown",
)
ATTEMPTS = 8
LONGEST_WAIT = 8.0


def retried(action: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Do something, again if a store asks to slow down.

    Args:
        action: what to do; it begins anew each time.
        sleep: waits for so many seconds.

    Raises:
        OSError: It failed for another reason, or too often.
    """
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except OSError as error:
            last = attempt + 1 == ATTEMPTS
            if last or not any(word in str(error) for word in RETRIED_WORDS):
                raise
        # "Full jitter": Brooker, Exponential Backoff and Jitter, 2015.
        sleep(random.uniform(0, min(LONGEST_WAIT, 0.1 * 2**attempt)))
    raise AssertionError("unreachable")
