"""Puts and gets of small values, immutable and mutable (of which each get makes a fresh copy)."""

from bench.subject import Bar, Params, Row, Subject, Unit

__all__ = ("SUBJECT",)


def row(name: str, case: str, value: str, rate: float) -> Row:
    """A rate with a fixed bar."""
    params: Params = {"seconds": 0.3, "value": value}
    bar = Bar.at_most(1 / rate, Unit.RATE)
    return Row(name, case, unit=Unit.RATE, bar=bar, params=params, quick={"seconds": 0.01})


SUBJECT = Subject(
    "small_values",
    "Small values",
    (
        row("single client put calls (Plasma Store)", "put_small", "int", 300_000),
        row("single client put calls, a list", "put_small", "list", 300_000),
        row("single client get calls (Plasma Store)", "get_small", "int", 500_000),
        row("single client get calls, a list", "get_small", "list", 500_000),
    ),
)
