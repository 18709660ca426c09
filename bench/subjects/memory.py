"""Private memory and threads at rest, the arena apart."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

SUBJECT = Subject(
    "memory",
    "Memory at rest",
    (
        Row(
            "driver's growth, node process and zygote",
            "memory",
            metric="system",
            unit=Unit.BYTES,
            bar=Bar.at_most(40e6, Unit.BYTES),
            fresh=True,
        ),
        Row(
            "each idle worker",
            "memory",
            metric="worker",
            unit=Unit.BYTES,
            bar=Bar.at_most(8e6, Unit.BYTES),
            fresh=True,
        ),
        Row(
            "threads, most in a process",
            "memory",
            metric="threads",
            unit=Unit.COUNT,
            bar=Bar.at_most(4, Unit.COUNT),
            fresh=True,
        ),
        Row("processes without workers", "memory", metric="processes", unit=Unit.COUNT, fresh=True),
    ),
)
