"""From `serve.run` to the first answer, one more replica, and what a replica at rest holds."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

REPLICAS = {"count": 5}
REPLICAS_QUICK = {"count": 1}

SUBJECT = Subject(
    "start",
    "Starting",
    (
        Row("serve.run to first answer, node included", "start", metric="first", bar=Bar.at_most(0.3, Unit.TIME)),
        Row("serve.run of a second application to first answer", "start", metric="second"),
        Row("import of Serve", "start", metric="import"),
        Row(
            "one more replica",
            "replica",
            bar=Bar.at_most(0.05, Unit.TIME),
            params=REPLICAS,
            quick=REPLICAS_QUICK,
            fresh=True,
        ),
        Row(
            "private memory of an idle replica",
            "replica",
            metric="private",
            unit=Unit.BYTES,
            bar=Bar.at_most(25e6, Unit.BYTES),
            params=REPLICAS,
            quick=REPLICAS_QUICK,
            fresh=True,
        ),
    ),
)
