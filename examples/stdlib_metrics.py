"""Measures every module of the running Python's standard library, in parallel.

    python -m examples.stdlib_metrics [--limit N] [--workers N]

Tasks parse the modules, an actor adds up what they find, and all workers read one NumPy table of weights that lies in
the object store once. The same work is then done in a plain loop, for the results to be compared and the speed-up.
"""

import argparse
import asyncio
import os
import resource
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import ray_async as ray
from examples.module_metrics import (
    COLUMNS,
    PAIRS,
    ModuleMetrics,
    Table,
    Tally,
    batches,
    measure_files,
    same,
    stdlib_files,
    weights,
)


@dataclass(frozen=True)
class BatchReport:
    """One task's result: the modules it measured, and what it used of its worker and the store."""

    modules: list[ModuleMetrics]
    skipped: list[str]
    pid: int
    cpu_seconds: float
    table_shared: bool


class Progress:
    """A bar on stderr: tqdm's where it is installed, else one line that is written again and again."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        try:
            from tqdm import tqdm
        except ImportError:
            self.bar = None
        else:
            self.bar = tqdm(total=total, unit="module", file=sys.stderr)

    def advance(self, count: int) -> None:
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        else:
            filled = 40 * self.done // max(self.total, 1)
            bar = "#" * filled + "." * (40 - filled)
            print(f"\r[{bar}] {self.done}/{self.total}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            print(file=sys.stderr)


@ray.remote
def measure_batch(root: str, names: list[str], table: Table) -> BatchReport:
    started = time.process_time()
    modules, skipped = measure_files(root, names, table)
    # A view of the store is read-only and does not own its memory; a copy would do both.
    shared = not table.flags.owndata and not table.flags.writeable
    return BatchReport(modules, skipped, os.getpid(), time.process_time() - started, shared)


async def measure_in_parallel(root: str, files: list[tuple[str, int]]) -> tuple[dict[str, object], list[BatchReport]]:
    """The parallel program: tasks measure, an actor adds up, this coroutine awaits and shows how far it is."""
    table = ray.put(weights())
    tally = ray.remote(Tally).remote()
    progress = Progress(sum(1 for _ in files))

    async def one(names: list[str]) -> BatchReport:
        report: BatchReport = await measure_batch.remote(root, names, table)
        await tally.add.remote(report.modules)
        progress.advance(len(names))
        return report

    try:
        reports = await asyncio.gather(*(one(names) for names in batches(files)))
    finally:
        progress.close()
    return await tally.summary.remote(), reports


def measure_in_a_loop(root: str, files: list[tuple[str, int]]) -> dict[str, object]:
    """The same work without ray_async."""
    table, tally = weights(), Tally()
    for names in batches(files):
        tally.add(measure_files(root, names, table)[0])
    return tally.summary()


def print_report(summary: dict[str, object], reports: list[BatchReport], parallel: float, serial: float) -> None:
    for key, value in summary.items():
        lines = value if isinstance(value, list) else [value]
        print(f"  {key:14} {lines[0]}", *(f"  {'':14} {line}" for line in lines[1:]), sep="\n")
    skipped = [name for report in reports for name in report.skipped]
    print(f"  {'not parsed':14} {len(skipped)}")
    print(f"\nparallel {parallel:.2f} s, plain loop {serial:.2f} s: {serial / parallel:.2f} times as fast")
    table = PAIRS * COLUMNS * 4 / 2**20
    views = sum(report.table_shared for report in reports)
    print(f"store: one table of {table:.1f} MiB; {views} of {len(reports)} tasks read it in place, without a copy")
    for pid in sorted({report.pid for report in reports}):
        own = [report for report in reports if report.pid == pid]
        modules, seconds = sum(len(report.modules) for report in own), sum(report.cpu_seconds for report in own)
        print(f"worker {pid}: {len(own)} tasks, {modules} modules, {seconds:.2f} s of CPU")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"driver: {peak:.0f} MiB at its peak, the plain loop included")


async def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the standard library in parallel.")
    parser.add_argument("--limit", type=int, help="measure only the first N modules")
    parser.add_argument("--workers", type=int, help="how many CPUs to use (default: all)")
    options = parser.parse_args(arguments)
    root = sysconfig.get_path("stdlib")
    files = stdlib_files(Path(root))[: options.limit]
    print(f"Python {sys.version.split()[0]}: {len(files)} modules, {sum(size for _, size in files) / 1e6:.1f} MB")

    ray.init(num_cpus=options.workers)
    try:
        started = time.perf_counter()
        summary, reports = await measure_in_parallel(root, files)
        parallel = time.perf_counter() - started
    finally:
        ray.shutdown()
    started = time.perf_counter()
    expected = await asyncio.to_thread(measure_in_a_loop, root, files)
    serial = time.perf_counter() - started
    print_report(summary, reports, parallel, serial)
    if not same(summary, expected):
        raise SystemExit(f"the plain loop found something else: {expected}")


if __name__ == "__main__":
    asyncio.run(main())
