"""For authors of engines: the suite that every session passes."""

from ray_async.engine.testing.session_suite import SessionSuite

__all__ = ("SessionSuite",)
