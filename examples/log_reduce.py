"""Map and reduce over logs: tasks read files, part what they find by key, and other tasks put the parts together.

    python -m examples.log_reduce [FOLDER] [--reducers N]

Of each path in the access logs of a web server: requests, errors, bytes, and the 95th percentile of the milliseconds.
Without a folder, logs are made up. What passes between tasks stays in shared memory; the program itself holds
references alone.
"""

import argparse
import random
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray_async as ray

__all__ = ("main", "map_file", "reduce_part", "summary", "write_logs")

LINE = re.compile(r'^(\S+) \S+ \S+ \[[^]]*] "(?:GET|POST) (\S+) [^"]*" (\d{3}) (\d+) (\d+)$')
PATHS = ("/", "/search", "/items", "/cart", "/login", "/static/app.js", "/api/orders", "/health")

Rows = dict[str, list[tuple[int, int, int]]]


def write_logs(folder: Path, files: int, lines: int) -> None:
    """Make logs up; some lines are damaged, as in life."""
    draw = random.Random(7)
    for number in range(files):
        with (folder / f"access-{number:02}.log").open("w") as log:
            for _ in range(lines):
                path = draw.choices(PATHS, weights=range(len(PATHS), 0, -1))[0]
                status = draw.choices((200, 304, 404, 500), weights=(90, 5, 4, 1))[0]
                size, milliseconds = draw.randrange(200, 20_000), int(draw.lognormvariate(3, 1))
                line = f'10.0.0.{draw.randrange(256)} - - [01/Jan] "GET {path} HTTP/1.1" {status} {size} {milliseconds}'
                log.write((line if draw.random() > 0.005 else line[: len(line) // 2]) + "\n")


def read_lines(path: Path) -> Iterator[tuple[str, int, int, int] | None]:
    """Of each line its path, status, bytes and milliseconds; None for one that is damaged."""
    with path.open() as log:
        for line in log:
            found = LINE.match(line)
            yield (found[2], int(found[3]), int(found[4]), int(found[5])) if found else None


def map_file(path: Path, parts: int) -> list[Any]:
    """What a file has, parted by path, and last the number of its damaged lines."""
    rows: list[Rows] = [{} for _ in range(parts)]
    damaged = 0
    for line in read_lines(path):
        if line is None:
            damaged += 1
            continue
        # Not hash(), which differs from process to process.
        part = rows[zlib.crc32(line[0].encode()) % parts]
        part.setdefault(line[0], []).append(line[1:])
    return [*rows, damaged]


@ray.remote
def reduce_part(*parts: Rows) -> dict[str, tuple[int, int, int, int]]:
    """The summary of each path in that part of all files."""
    together: Rows = {}
    for part in parts:
        for path, rows in part.items():
            together.setdefault(path, []).extend(rows)
    return {path: summary(rows) for path, rows in together.items()}


def summary(rows: list[tuple[int, int, int]]) -> tuple[int, int, int, int]:
    """Requests, errors, bytes, and the 95th percentile of the milliseconds."""
    slow = sorted(milliseconds for _, _, milliseconds in rows)
    return (
        len(rows),
        sum(status >= 500 for status, _, _ in rows),
        sum(size for _, size, _ in rows),
        slow[(len(slow) - 1) * 95 // 100],
    )


def count(folder: Path, reducers: int) -> tuple[dict[str, tuple[int, int, int, int]], int]:
    """The summary of all logs in a folder, and how many lines were damaged."""
    mapper = ray.remote(num_returns=reducers + 1)(map_file)
    mapped = [mapper.remote(path, reducers) for path in sorted(folder.glob("*.log"))]
    reduced = [reduce_part.remote(*(parts[number] for parts in mapped)) for number in range(reducers)]
    table = {path: row for part in ray.get(reduced) for path, row in part.items()}
    return table, sum(ray.get([parts[-1] for parts in mapped]))


def main() -> None:
    """Count, and print the table."""
    parser = argparse.ArgumentParser(description="Map and reduce over access logs.")
    parser.add_argument("folder", nargs="?", type=Path, help="of *.log; made up without it")
    parser.add_argument("--reducers", type=int, default=3)
    parser.add_argument("--lines", type=int, default=20_000, help="of each of eight files that are made up (20000)")
    options = parser.parse_args()
    ray.init()
    with tempfile.TemporaryDirectory() as made_up:
        if options.folder is None:
            write_logs(Path(made_up), files=8, lines=options.lines)
        table, damaged = count(options.folder or Path(made_up), options.reducers)
    print(f"{'path':<16}{'requests':>10}{'errors':>8}{'MB':>8}{'p95 ms':>8}")
    for path, (requests, errors, size, p95) in sorted(table.items(), key=lambda row: -row[1][0]):
        print(f"{path:<16}{requests:>10}{errors:>8}{size / 1e6:>8.1f}{p95:>8}")
    print(f"{damaged} damaged lines")
    ray.shutdown()


if __name__ == "__main__":
    main()
