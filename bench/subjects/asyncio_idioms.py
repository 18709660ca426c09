"""What asyncio programs do with many calls at once, beside the same over futures and coroutines that do nothing."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

PARAMS = {"seconds": 1.0, "batch": 10_000}
QUICK = {"seconds": 0.02, "batch": 50}
FEWER = {"batch": 1_000}


def idiom(name: str, case: str, floor: str, title: str, times: float, batch: int = 10_000) -> Row:
    """A row for the rate of an idiom, held against a floor that does it without any other process."""
    return Row(
        name,
        case,
        unit=Unit.RATE,
        floor=floor,
        floor_title=title,
        bar=Bar.of_floor(times, floor, title),
        params={**PARAMS, "batch": batch},
        quick=QUICK if batch == PARAMS["batch"] else {**QUICK, "batch": 100},
        for_peers=FEWER,
    )


SUBJECT = Subject(
    "asyncio_idioms",
    "asyncio's idioms",
    (
        idiom("gather of 10,000 tasks", "gather_tasks", "gather_futures", "gather of ready futures", 2),
        idiom("gather of 100,000 tasks", "gather_tasks", "gather_futures", "gather of ready futures", 2, 100_000),
        idiom("gather of 10,000 async-actor calls", "gather_actor", "gather_futures", "gather of ready futures", 2),
        idiom("TaskGroup of 10,000 tasks", "group_tasks", "group_coroutines", "TaskGroup of sleep(0)", 1.25),
        idiom("10,000 tasks, 100 at a time", "limited_tasks", "limited_coroutines", "semaphore around sleep(0)", 1.25),
        idiom("as_completed over 10,000 tasks", "each_task", "each_future", "as_completed over futures", 1.5),
        idiom("wait FIRST_COMPLETED, 10,000 tasks", "first_tasks", "first_futures", "wait over futures", 1.5),
    ),
)
