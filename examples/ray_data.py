"""Distributed data: read, map in pandas, filter, write and count, over s3:// or folders.

python -m examples.ray_data [SOURCE [TARGET]]
"""

import sys

import ray_async as ray

source, target = [*sys.argv[1:], "s3://my-bucket/data/", "s3://my-bucket/processed/"][:2]
if len(sys.argv) == 2:
    target = f"{source.rstrip('/')}-processed/"

# Read and process a large dataset
ds = ray.data.read_parquet(source)


# Map transformations in parallel
def preprocess(batch):  # type: ignore[no-untyped-def]
    batch["text_length"] = [len(t) for t in batch["text"]]
    return batch


processed = ds.map_batches(preprocess, batch_format="pandas")

# Filter
filtered = processed.filter(lambda row: row["text_length"] > 50)

# Write results
filtered.write_parquet(target)
print(f"Processed {filtered.count()} records")
