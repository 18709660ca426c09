"""Orders of files: as they were given, or drawn anew for each execution."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ray_async.data.plan.seeds import RandomSeedConfig, seed_of_execution

__all__ = ("FileShuffleConfig", "file_order", "shuffle_of")


class FileShuffleConfig(RandomSeedConfig):
    """The order in which files are read: drawn at random.

    Args:
        seed: decides the order; None draws another one each time.
        reseed_after_execution: whether the second execution of a dataset has another order than the first, in a way
            that the seed decides.

    Example:
        >>> ray.data.read_csv(folder, shuffle=FileShuffleConfig(seed=7))
    """


def shuffle_of(given: Any) -> FileShuffleConfig | None:
    """What an argument ``shuffle`` means.

    Raises:
        ValueError: It is neither None, "files" nor a `FileShuffleConfig`.
    """
    if given is None or isinstance(given, FileShuffleConfig):
        return given
    if given != "files":
        raise ValueError(f"shuffle must be None, 'files' or a FileShuffleConfig, but is {given!r}")
    return FileShuffleConfig()


def file_order(count: int, shuffle: FileShuffleConfig | None, execution: int) -> Sequence[int]:
    """The numbers of so many files in the order of one execution."""
    order = list(range(count))
    if shuffle is not None:
        random.Random(seed_of_execution(shuffle, execution)).shuffle(order)
    return order
