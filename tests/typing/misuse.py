"""Calls that type checkers must refuse: each ignore is needed, which the checkers check themselves."""

from collections.abc import Iterator

import ray_async as ray
from ray_async.util.queue import Queue


@ray.remote
def text(a: int) -> str:
    return str(a)


class Counter:
    @ray.method
    def add(self, by: int) -> int:
        return by

    def items(self) -> Iterator[int]:
        yield 1


counter = ray.typed(ray.remote(Counter).remote())

text.remote("x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
text.remote(1, 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
text.remote(1) + 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
ray.get(text.remote(1)) + 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
text(1)  # type: ignore[operator]  # pyright: ignore[reportCallIssue]
checked_after_that: int = "x"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
text.options(num_cpu=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ray.remote(num_cpu=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ray.remote(Counter).options(life_time="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ray.method(num_return=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
counter.add.remote("x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
counter.nothing.remote()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
counter.items.remote()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
ray.wait([1])  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
numbers: Queue[int] = Queue()
numbers.put("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
