"""Holdings: which models a replica has, as routers read it."""

from __future__ import annotations

from typing import Protocol

from ray_async.serve.board import Board

__all__ = ("Holdings", "Source")


class Source(Protocol):
    """Has models."""

    @property
    def model_ids(self) -> list[str]:
        """The ids of the models that it has, or is loading."""
        ...

    async def close(self) -> None:
        """Unload all."""
        ...


class Holdings:
    """Writes to the board which models this replica has; used on the replica's loop alone.

    Args:
        board: The board.
        place: The replica's slot on the board.
    """

    def __init__(self, board: Board, place: int) -> None:
        self._board = board
        self._place = place
        self._sources: list[Source] = []
        self._known: dict[str, None] = {}
        board.publish_models(place, [])

    def __contains__(self, model_id: str) -> bool:
        return model_id in self._known

    def add(self, source: Source) -> None:
        """Take a function's models in from now on."""
        self._sources.append(source)

    def changed(self) -> None:
        """Tell routers, if a model has come or gone."""
        known = dict.fromkeys(model_id for source in self._sources for model_id in source.model_ids)
        if known != self._known:
            self._known = known
            self._board.publish_models(self._place, list(known))

    async def close(self) -> None:
        """Unload all models."""
        for source in self._sources:
            await source.close()
