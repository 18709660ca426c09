"""What tracebacks of tasks show of the user's code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ray_async as ray

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=1, object_store_memory=100 << 20):
        yield


def test_files_and_lines_of_functions_that_travel_by_value() -> None:
    @ray.remote
    def divide(by: int) -> float:
        def inner() -> float:
            return 1 / by  # here

        return inner()

    with pytest.raises(ZeroDivisionError) as caught:
        ray.get(divide.remote(0), timeout=TIMEOUT_S)
    text = str(caught.value)
    assert text.count(f'File "{__file__}"') == 2
    assert "return inner()" in text
    assert "return 1 / by  # here" in text
