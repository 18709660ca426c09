"""Folding: the numbers of ended processes are added up, so that totals do not run backwards and files do not pile up.

A file is read and left alone while its process lives. After that, the controller adds its totals to the remains, which
are replaced as a whole and name the files that are in them, and removes the file. Who reads all files first and the
remains then, and leaves out the files that these name, counts each number once, whenever that happens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from ray_async.serve.telemetry.cells import read_cells
from ray_async.serve.telemetry.families import FAMILIES, Family

__all__ = ("Series", "fold", "gather", "parse_key")

_REMAINS = "remains.json"
_MOST_NAMES = 4096  # of folded files: a reader that began before so many ends has long been done

Values = tuple[float, ...]


@dataclass(frozen=True)
class Series:
    """A series.

    Args:
        family: Its family.
        labels: The values of its labels, in the family's order.
    """

    family: Family
    labels: tuple[str, ...]

    def get(self, label: str) -> str | None:
        """The value of a label; None where it has none of that name."""
        names = self.family.labels
        return self.labels[names.index(label)] if label in names else None

    @property
    def outlives_process(self) -> bool:
        """Whether its numbers count after the end of the process."""
        return self.family.kind != "gauge" and "replica" not in self.family.labels


def parse_key(key: str) -> Series | None:
    """The series of a key of cells; None for what is none."""
    if not key:
        return None
    name, *labels = json.loads(key)
    return Series(FAMILIES[name], tuple(labels))


def gather(folder: Path) -> dict[Series, Values]:
    """The numbers of all processes that there are, and what is left of ended ones."""
    found = []
    for path in folder.glob("*.cells"):
        try:
            found.append((path.name, *read_cells(path)))
        except FileNotFoundError:
            continue  # it is among the remains by now
    folded, totals = _read_remains(folder)
    for name, lives, entries in found:
        if name not in folded:
            _add(totals, entries, lambda series, lives=lives: lives or series.outlives_process)  # type: ignore[misc]
    return totals


def fold(folder: Path, wanted: Callable[[Series], bool]) -> None:
    """Add the totals of ended processes to the remains.

    Args:
        folder: The folder of all files.
        wanted: Tells whether a series is still about something that exists.
    """
    looked = [(path, *read_cells(path)) for path in folder.glob("*.cells")]
    dead = [(path, entries) for path, lives, entries in looked if not lives]
    folded, totals = _read_remains(folder)
    kept = {series: values for series, values in totals.items() if wanted(series)}
    if not dead and len(kept) == len(totals):
        return
    for path, entries in dead:
        if path.name not in folded:
            _add(kept, entries, lambda series: series.outlives_process and wanted(series))
    names = [*folded, *(path.name for path, _ in dead if path.name not in folded)][-_MOST_NAMES:]
    new = folder / f"{_REMAINS}.new"
    new.write_text(json.dumps({"folded": names, "values": [[s.family.name, s.labels, v] for s, v in kept.items()]}))
    new.replace(folder / _REMAINS)
    for path, _ in dead:
        path.with_suffix(".user").unlink(missing_ok=True)
        path.unlink()


def _read_remains(folder: Path) -> tuple[dict[str, None], dict[Series, Values]]:
    try:
        known: dict[str, Any] = json.loads((folder / _REMAINS).read_text())
    except FileNotFoundError:
        return {}, {}
    values = {Series(FAMILIES[name], tuple(labels)): tuple(numbers) for name, labels, numbers in known["values"]}
    return dict.fromkeys(known["folded"]), values


def _that_hold(family: Family, numbers: Iterable[float]) -> Iterable[float]:
    if not family.holds_s:
        return numbers
    number, written = numbers
    return (number if monotonic() - written < family.holds_s else 0.0, 0.0)


def _add(
    totals: dict[Series, Values], entries: Mapping[str, Iterable[float]], wanted: Callable[[Series], bool]
) -> None:
    for key, numbers in entries.items():
        series = parse_key(key)
        if series is not None and wanted(series):
            numbers = _that_hold(series.family, numbers)
            before = totals.get(series)
            totals[series] = tuple(
                numbers if before is None else (one + other for one, other in zip(before, numbers, strict=True))
            )
