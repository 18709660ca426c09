"""Ray's thin clients, as far as one machine needs them: a client is an ordinary driver, attached to a running node."""

from __future__ import annotations

import ray_async as ray

__all__ = ("ray",)
