"""Jobs: programs that are submitted to a node, run as commands beside it, and outlive the dashboard that took them."""

from __future__ import annotations

__all__ = ()
