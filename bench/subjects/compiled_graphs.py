"""Compiled graphs: the round trip of one actor and of three in a row, beside the same calls without a graph."""

from bench.subject import Bar, Row, Subject

__all__ = ("SUBJECT",)

TIMED = {"seconds": 0.5}
QUICK = {"seconds": 0.02}

SUBJECT = Subject(
    "compiled_graphs",
    "Compiled graphs",
    (
        Row(
            "compiled graph, one actor",
            "graph_sync",
            floor="futex",
            floor_title="C futex",
            bar=Bar.of_floor(1.5, "futex", "C futex"),
            params=TIMED,
            quick=QUICK,
        ),
        Row("compiled graph, one actor, CPU time per execution", "graph_sync", metric="cpu", params=TIMED, quick=QUICK),
        Row("one actor, without a graph, CPU time", "call_sync", metric="cpu", params=TIMED, quick=QUICK),
        Row(
            "compiled graph, three actors in a row",
            "graph_chain",
            floor="futex",
            floor_title="C futex",
            params=TIMED,
            quick=QUICK,
        ),
        Row(
            "three actors in a row, without a graph",
            "call_chain",
            floor="futex",
            floor_title="C futex",
            params=TIMED,
            quick=QUICK,
        ),
        Row(
            "compiled graph, three actors in a row, CPU time per execution",
            "graph_chain",
            metric="cpu",
            params=TIMED,
            quick=QUICK,
        ),
        Row("three actors in a row, without a graph, CPU time", "call_chain", metric="cpu", params=TIMED, quick=QUICK),
    ),
)
