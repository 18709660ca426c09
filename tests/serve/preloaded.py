"""Modules that sessions of these tests preload."""

__all__ = ("PRELOADED",)

# What modules of tests import: each replica of a class that stands in one would take half a second of CPU time for it.
PRELOADED = ["ray_async.serve", "pytest", "httpx", "fastapi"]
