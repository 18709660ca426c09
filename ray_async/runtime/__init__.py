"""The runtime: sessions, scheduling, workers and recovery.

The API reaches it through one object, the session (`session_protocol`), which `current` finds for the process.
"""

__all__ = ()
