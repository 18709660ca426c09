"""Calls of an actor whose arguments are not there yet, set aside so that other callers' calls go on."""

from ray_async._core.arena import Arena

class PostponedCalls:
    def __init__(self, arena: Arena, actor: int, ordered: bool) -> None: ...
    def adopt(self) -> None: ...
