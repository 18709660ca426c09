"""Calls that each have options of their own: what one takes, and what is left of it when it is over."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

PARAMS = {"count": 10_000}
QUICK = {"count": 1_000}
PEERS = {"count": 1_000}

SUBJECT = Subject(
    "option_sets",
    "Options of their own for each call",
    (
        Row(
            "calls with distinct options, ten at a time",
            "option_sets",
            unit=Unit.RATE,
            params=PARAMS,
            quick=QUICK,
            for_peers=PEERS,
            fresh=True,
        ),
        Row(
            "calls with distinct options, what the store has less for each",
            "option_sets",
            metric="store",
            unit=Unit.BYTES,
            bar=Bar.at_most(500, Unit.BYTES),
            params=PARAMS,
            quick=QUICK,
            for_peers=PEERS,
            fresh=True,
        ),
        Row(
            "calls with distinct options, a look at all resources afterwards against before",
            "option_sets",
            metric="look",
            unit=Unit.FRACTION,
            bar=Bar.at_most(2, Unit.FRACTION),
            params=PARAMS,
            quick=QUICK,
            for_peers=PEERS,
            fresh=True,
        ),
    ),
)
