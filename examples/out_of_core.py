"""Extract, transform, load, of more than fits into memory: sales are cleaned, joined, sorted and written by region.

    python -m examples.out_of_core [--millions N] [--memory MIB] [--folder FOLDER]

The store has 100 MiB; the rows have more as they pass through. What does not fit goes to files, and comes back range by
range.
"""

import argparse
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import ray_async as ray

__all__ = ("clean", "main", "make_sales", "run")

REGIONS = ("north", "east", "south", "west")


def make_sales(folder: Path, rows: int, files: int = 8) -> None:
    """Write sales as Parquet; each hundredth has no price."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(5)
    for number in range(files):
        count = rows // files
        price = draw.gamma(2, 20, count).round(2)
        price[::100] = np.nan
        table = pa.table(
            {
                "sale": np.arange(count) * files + number,
                "shop": draw.integers(0, 400, count),
                "price": pa.array(price, from_pandas=True),
                "note": np.array(["paid by card", "paid in cash", "to be sent", "gift"])[draw.integers(0, 4, count)],
            }
        )
        pq.write_table(table, folder / f"sales-{number}.parquet")


def clean(batch: dict[str, Any]) -> dict[str, Any]:
    """Whole cents, and the first word of a note."""
    batch["cents"] = np.rint(batch.pop("price") * 100).astype(np.int64)
    batch["how"] = np.array([note.split()[0] for note in batch.pop("note")])
    return batch


def run(source: Path, target: Path) -> tuple[int, list[dict[str, Any]]]:
    """Clean, join with the shops' regions, sort by price, write a folder for each region.

    Args:
        source: A folder of Parquet files.
        target: The folder that is written.

    Returns:
        How many rows were written, and sales and cents by region.
    """
    shops = ray.data.from_items([{"shop": shop, "region": REGIONS[shop % 4]} for shop in range(400)])
    sales = ray.data.read_parquet(str(source)).filter(expr="price > 0").map_batches(clean)
    sales.join(shops, join_type="inner", num_partitions=4, on=("shop",)).sort("cents", descending=True).write_parquet(
        str(target), partition_cols=["region"]
    )
    written = ray.data.read_parquet(str(target))
    table = written.groupby("region").sum("cents").sort("region").take_all()
    return written.count(), table


def main() -> None:
    """Make sales, run, and say what was written."""
    parser = argparse.ArgumentParser(description="Out-of-core extract, transform, load.")
    parser.add_argument("--millions", type=float, default=4, help="rows (4)")
    parser.add_argument("--memory", type=int, default=100, help="MiB of the store (100)")
    parser.add_argument("--folder", type=Path, help="where files go, and stay; a temporary one by default")
    options = parser.parse_args()
    ray.init(object_store_memory=options.memory * 1024**2)
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_sales(folder / "in", int(options.millions * 1e6))
        count, table = run(folder / "in", folder / "out")
        print(f"{count} rows written to {sorted(path.name for path in (folder / 'out').iterdir())}")
    for row in table:
        print(f"{row['region']:<8}{row['sum(cents)'] / 100:>16,.2f}")
    ray.shutdown()


if __name__ == "__main__":
    main()
