"""Driver of the Data of ray_async and of Ray, which run the very same code: `data_ray.py ray_async` or `... ray`."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from bench.drivers import data_files, data_functions, data_tpch, protocol
from bench.drivers.data_files import timed
from bench.drivers.peer_ray import Session

Work = Callable[[Mapping[str, Any]], object]
BATCH = 1024


class DataSession(Session):
    """The library with its Data; the store's size is a parameter of the cases, the first of a process decides."""

    store_bytes = 0

    def begin(self, params: Mapping[str, Any]) -> Any:
        """The library, initialised with a store of `params["store_bytes"]`, and one warm worker for each CPU.

        `params["preload"]` is a module that workers have imported when they begin.
        """
        size = int(params.get("store_bytes", 0)) or (8 << 30)
        if self.store_bytes and self.store_bytes != size:
            self.close()
        if self.store_bytes != size:
            self.store_bytes = size
            self.__dict__["ray"] = self._started(size, params.get("preload"))
        return self.ray

    def _started(self, size: int, preload: object) -> Any:
        library = __import__(self.module)
        __import__(f"{self.module}.data")
        more = {"preload": [preload]} if preload and self.module == "ray_async" else {}
        library.init(
            address="local", num_cpus=self.cpus, object_store_memory=size, include_dashboard=False,
            log_to_driver=False, logging_level="ERROR", **more,
        )  # fmt: skip
        library.data.DataContext.get_current().enable_progress_bars = False
        library.data.range(self.cpus, override_num_blocks=self.cpus).map(data_functions.row_plus_one).take_all()
        return library

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """Datasets that cases read again and again."""
        return {}


class Cases:
    """The cases over one session."""

    def __init__(self, session: DataSession) -> None:
        self.session = session

    def case(self, work: Callable[[Any, Mapping[str, Any]], object]) -> protocol.Case:
        """A case that measures a function of `ray.data` and the parameters."""

        def run(params: Mapping[str, Any]) -> Mapping[str, float]:
            data = self.session.begin(params).data
            return timed(lambda given: work(data, given), params)

        return run

    # Files

    def pipeline(self, data: Any, params: Mapping[str, Any]) -> object:
        with data_files.target() as folder:
            processed = data.read_parquet(str(params["folder"]))
            processed = processed.map_batches(data_functions.with_length, batch_format="pandas")
            kept = processed.filter(data_functions.keeps_long)
            kept.write_parquet(folder)
            return kept.count()

    def groupby_mean(self, data: Any, params: Mapping[str, Any]) -> object:
        return data.read_parquet(str(params["folder"])).groupby("key").mean("value").materialize()

    def sort(self, data: Any, params: Mapping[str, Any]) -> object:
        return data.read_parquet(str(params["folder"])).sort("value").materialize()

    def join(self, data: Any, params: Mapping[str, Any]) -> object:
        sides = data.read_parquet(str(params["second"])).select_columns(["id", "side"])
        facts = data.read_parquet(str(params["folder"])).select_columns(["other", "value"])
        options = {} if self.session.module == "ray_async" else {"num_partitions": 4}
        return facts.join(sides, "inner", on=("other",), right_on=("id",), **options).materialize().count()

    def large_sort(self, data: Any, params: Mapping[str, Any]) -> object:
        return _consumed(data.read_parquet(str(params["folder"])).sort("value"))

    def large_shuffle(self, data: Any, params: Mapping[str, Any]) -> object:
        return _consumed(data.read_parquet(str(params["folder"])).random_shuffle(seed=1))

    def query(self, name: str) -> protocol.Case:
        return self.case(lambda data, params: data_tpch.DATASET_QUERIES[name](data, str(params["tpch"])).to_pandas())

    # Memory

    def small_groupby(self, data: Any, params: Mapping[str, Any]) -> object:
        kept = self.session.kept
        if "small" not in kept:
            rows = int(params["rows"])
            kept["small"] = data.from_arrow(pa.table({"key": np.arange(rows) % 10, "value": np.arange(rows) / 7}))
        return kept["small"].groupby("key").mean("value").take_all()

    def small_map(self, data: Any, params: Mapping[str, Any]) -> object:
        return data.range(int(params["rows"])).map(data_functions.row_plus_one).take_all()

    def blocks(self, params: Mapping[str, Any]) -> Any:
        """A dataset in the store, of one column of floats."""
        data, kept = self.session.begin(params).data, self.session.kept
        size = int(params["bytes"])
        if ("blocks", size) not in kept:
            kept.clear()
            ready = data.range(size // 8, override_num_blocks=max(2, size >> 27))
            kept["blocks", size] = ready.map_batches(lambda batch: {"x": batch["id"] * 0.5}).materialize()
        return kept["blocks", size]

    def identity(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        ready = self.blocks(params)
        warm = ready.map_batches(data_functions.identity, batch_format="numpy").materialize()  # the store's pages
        del warm
        return timed(lambda _: ready.map_batches(data_functions.identity, batch_format="numpy").materialize(), params)

    def memcpy(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        size, block = int(params["bytes"]), 1 << 27
        source, target = np.ones(block, np.uint8), np.ones(block, np.uint8)
        np.copyto(target, source)
        start = time.perf_counter()
        for _ in range(max(1, size // block)):
            np.copyto(target, source)
        return {"wall": (time.perf_counter() - start) * size / (max(1, size // block) * block)}

    def iter_batches(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        ready = self.blocks(params)

        def work(_: Mapping[str, Any]) -> int:
            return sum(len(batch["x"]) for batch in ready.iter_batches(batch_size=BATCH * 64, batch_format="numpy"))

        work(params)
        return timed(work, params)

    def iter_torch(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        ready = self.blocks(params)

        def work(_: Mapping[str, Any]) -> float:
            return sum(float(batch["x"][0]) for batch in ready.iter_torch_batches(batch_size=BATCH * 64))

        work(params)
        return timed(work, params)

    def torch_loop(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """The loop that a user would write over arrays in memory: slices, made into tensors of their own."""
        import torch

        array = np.arange(int(params["bytes"]) // 8) * 0.5
        step = BATCH * 64

        def work(_: Mapping[str, Any]) -> float:
            batches = (torch.from_numpy(array[start : start + step].copy()) for start in range(0, len(array), step))
            return sum(float(batch[0]) for batch in batches)

        work(params)
        return timed(work, params)

    # Functions

    def images(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        data, count = self.session.begin(params).data, int(params["images"])
        model, cpus = data_functions.image_model(), self.session.cpus
        source = data.from_arrow(pa.table({"bytes": _jpegs(count)})).repartition(16 * cpus).materialize()
        watch = protocol.Stopwatch()
        watch.start()
        labels = source.map_batches(model, batch_size=32, batch_format="numpy", concurrency=cpus).materialize()
        watch.stop()
        assert labels.count() == count
        return {"wall": watch.wall, "idle": cpus * watch.wall / max(watch.cpu, 1e-9)}

    def images_alone(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        images = _jpegs(int(params["images"])).to_pylist()
        model = data_functions.image_model()()

        def work(_: Mapping[str, Any]) -> object:
            return [model({"bytes": images[start : start + 32]}) for start in range(0, len(images), 32)]

        return timed(work, params)

    def http(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        data, count = self.session.begin(params).data, int(params["calls"])
        pool = data.ActorPoolStrategy(size=1, max_concurrent_calls_per_actor=int(params["at_once"]))
        with data_files.http_server(float(params["delay"])) as port:
            calls = data.range(count, override_num_blocks=1).map(
                data_functions.http_calls(), compute=pool, fn_constructor_args=(port,)
            )
            start = time.perf_counter()
            answers = calls.take_all()
            elapsed = time.perf_counter() - start
        assert len(answers) == count and all(answer["ok"] for answer in answers)
        return {"wall": elapsed}

    def chain(self, data: Any, params: Mapping[str, Any]) -> object:
        found = data.range(int(params["rows"]), override_num_blocks=2)
        for _ in range(int(params["stages"])):
            found = found.map_batches(data_functions.plus_one())
        return found.materialize()

    def chain_at_once(self, data: Any, params: Mapping[str, Any]) -> object:
        steps = [data_functions.plus_one() for _ in range(int(params["stages"]))]

        def all_of_them(batch: Any) -> Any:
            for step in steps:
                batch = step(batch)
            return batch

        return data.range(int(params["rows"]), override_num_blocks=2).map_batches(all_of_them).materialize()


def _consumed(dataset: Any) -> int:
    """The rows of all batches, none of which is kept."""
    return sum(batch.num_rows for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"))


def _jpegs(count: int) -> Any:
    """Pictures of 256 by 256 pixels: a few that differ, again and again."""
    from PIL import Image

    random = np.random.default_rng(1)
    found = []
    for _ in range(16):
        coarse = random.integers(0, 256, (16, 16, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(coarse).resize((256, 256)).save(stream, "JPEG")
        found.append(stream.getvalue())
    return pa.array([found[index % 16] for index in range(count)], type=pa.binary())


def main(module: str) -> None:
    session = DataSession(module)
    cases = Cases(session)
    named = {
        name: cases.case(getattr(cases, name))
        for name in (
            "pipeline", "groupby_mean", "sort", "join", "large_sort", "large_shuffle", "small_groupby", "small_map",
            "chain", "chain_at_once",
        )
    }  # fmt: skip
    for name in ("identity", "memcpy", "iter_batches", "iter_torch", "torch_loop", "images", "images_alone"):
        named[name] = getattr(cases, name)
    if module == "ray_async":
        named |= {name: cases.query(name) for name in data_tpch.DATASET_QUERIES}
        named["http"] = cases.http
    protocol.serve(named, session.version(), session.close)


if __name__ == "__main__":
    main(sys.argv[1])
