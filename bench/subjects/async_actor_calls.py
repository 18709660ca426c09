"""Calls of one async actor: one at a time, awaited, and pipelined."""

from bench.actor_call_rows import actor_call_rows
from bench.subject import Subject

__all__ = ("SUBJECT",)

SUBJECT = Subject("async_actor_calls", "Async actor calls", actor_call_rows("async-actor", "async_actor"))
