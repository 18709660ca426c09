"""Small items of a generator in another process, read as values: `async for value in f.remote().values()`."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

SUBJECT = Subject(
    "streams",
    "Stream of small values",
    (
        Row(
            "single client stream of values async",
            "streamed_values",
            unit=Unit.RATE,
            floor="local_queue",
            floor_title="local generator, asyncio.Queue",
            bar=Bar.of_floor(2, "local_queue", "local generator, asyncio.Queue"),
            params={"seconds": 0.5, "batch": 100_000},
            quick={"seconds": 0.02, "batch": 1000},
            for_peers={"batch": 1000},
        ),
    ),
)
