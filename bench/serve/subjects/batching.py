"""Items to a batched method of 1 ms in batches of 32, beside full batches made by hand."""

from bench.subject import Bar, Reference, Row, Subject, Unit

__all__ = ("SUBJECT",)

SUBJECT = Subject(
    "batching",
    "Batches",
    (
        Row(
            "items through @serve.batch",
            "batch",
            unit=Unit.RATE,
            bar=Bar(1 / 0.9, "≥ 0.9 of full batches by hand", Reference(None, "batch_ideal")),
            params={"batches": 400},
            quick={"batches": 4},
        ),
    ),
)
