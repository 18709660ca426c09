"""Calls that type checkers must refuse: each ignore is needed, which mypy checks (warn_unused_ignores)."""

import ray_async as ray


@ray.remote
def text(a: int) -> str:
    return str(a)


text.remote("x")  # type: ignore[call-overload]
text.remote(1, 1)  # type: ignore[call-overload]
text.remote()  # type: ignore[call-overload]
text.remote(1) + 1  # type: ignore[operator]
ray.get(text.remote(1)) + 1  # type: ignore[operator]
