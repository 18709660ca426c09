"""The command `ray_async`: start, stop and look at the node of this machine."""

from ray_async.cli.command import main

__all__ = ("main",)
