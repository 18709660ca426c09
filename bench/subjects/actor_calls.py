"""Calls of one sync actor: one at a time, awaited, and pipelined."""

from bench.actor_call_rows import actor_call_rows
from bench.subject import Subject

__all__ = ("SUBJECT",)

SUBJECT = Subject("actor_calls", "Actor calls", actor_call_rows("actor", "actor"))
