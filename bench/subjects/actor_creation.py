"""From an actor's creation to its first reply: alone, and a hundred at once."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

BAR = Bar.at_most(0.01, Unit.TIME)

SUBJECT = Subject(
    "actor_creation",
    "Actor creation",
    (
        Row("actor creation to first reply", "actors", bar=BAR, params={"count": 1}),
        Row("100 actors, each", "actors", bar=BAR, params={"count": 100}, quick={"count": 3}, for_peers={"count": 10}),
    ),
)
