"""Databases, and table formats with a log: read and written in one transaction."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_sqlite import dbapi as adbc

import ray_async as ray
from ray_async.data.expressions import col
from ray_async.data.sinks.tables import RowStream
from ray_async.data.sources.base import Parallelism

# Engines of Lance, Delta and ADBC start threads with their first work, once for the process; they are no test's leak.
pytestmark = [pytest.mark.usefixtures("session"), pytest.mark.keeps_resources]
ROWS = [{"n": index, "s": None if index % 3 else f"é{index}", "x": index / 2} for index in range(10)]


def dataset(blocks: int = 3) -> Any:
    return ray.data.from_items(ROWS, override_num_blocks=blocks)


def failing(rows: int = 10) -> Any:
    """Rows whose later blocks raise, when earlier ones are on their way into the sink already."""

    def fail(row: dict[str, Any]) -> dict[str, Any]:
        if row["n"] == 9:
            raise RuntimeError("no more")
        return row

    return dataset(10).map(fail)


class TestSQL:
    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        path = str(tmp_path / "a.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT, x REAL)")
        return path

    @pytest.fixture(params=["DB-API", "ADBC"])
    def connect(self, request: pytest.FixtureRequest, path: str) -> Callable[[], Any]:
        if request.param == "ADBC":
            return lambda: adbc.connect(path)
        return lambda: sqlite3.connect(path)

    def test_written_and_read(self, connect: Callable[[], Any]) -> None:
        dataset().write_sql("INSERT INTO t VALUES (?, ?, ?)", connect)
        found = ray.data.read_sql("SELECT * FROM t ORDER BY n", connect)
        assert found.take_all() == ROWS and found.columns() == ["n", "s", "x"]
        some = ray.data.read_sql("SELECT x FROM t WHERE n > ? ORDER BY n", connect, sql_params=(7,))
        assert some.take_all() == [{"x": 4.0}, {"x": 4.5}]
        assert ray.data.read_sql("SELECT * FROM t WHERE n > 99", connect).columns() == ["n", "s", "x"]

    def test_a_write_that_fails_leaves_nothing(self, connect: Callable[[], Any]) -> None:
        with pytest.raises(RuntimeError, match="no more"):
            failing().write_sql("INSERT INTO t VALUES (?, ?, ?)", connect)
        doubled = dataset().union(dataset())
        with pytest.raises(Exception, match=r"UNIQUE|constraint"):
            doubled.write_sql("INSERT INTO t VALUES (?, ?, ?)", connect)
        assert ray.data.read_sql("SELECT * FROM t", connect).count() == 0

    def test_bad_queries_are_shown(self, path: str) -> None:
        def connect() -> Any:
            return sqlite3.connect(path)

        with pytest.raises(sqlite3.OperationalError) as caught:
            ray.data.read_sql("SELECT nope FROM t", connect).take_all()
        assert "nope" in str(caught.value)
        with pytest.raises(ValueError, match="two columns 'n'"):
            ray.data.read_sql("SELECT n, n FROM t", connect).take_all()
        with pytest.raises(TypeError, match="connection_factory"):
            ray.data.read_sql("SELECT 1", path)

    @pytest.mark.parametrize("keys", [["n"], ["n", "x"]])
    def test_shards_are_all_rows_once(self, keys: list[str], path: str) -> None:
        def connect() -> Any:
            import zlib

            connection = sqlite3.connect(path)
            connection.create_function("hashed", 1, lambda value: zlib.crc32(str(value).encode()))
            connection.create_function("CONCAT", 2, lambda a, b: f"{a}{b}")
            connection.create_function("MOD", 2, lambda a, b: a % b)
            return connection

        dataset().write_sql("INSERT INTO t VALUES (?, ?, ?)", connect)
        found = ray.data.read_sql(
            "SELECT * FROM t", connect, shard_keys=keys, shard_hash_fn="hashed", override_num_blocks=3
        )
        assert sorted(row["n"] for row in found.take_all()) == list(range(10))


class TestIceberg:
    @pytest.fixture
    def catalog(self, tmp_path: Path) -> dict[str, Any]:
        from pyiceberg.catalog import load_catalog

        options = {"name": "c", "type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}"}
        catalog = load_catalog(**options)
        catalog.create_namespace("d")
        catalog.create_table("d.t", dataset().to_arrow().schema)
        catalog.close()
        return options

    def test_written_and_read(self, catalog: dict[str, Any]) -> None:
        dataset().write_iceberg("d.t", catalog)
        read = ray.data.read_iceberg(table_identifier="d.t", catalog_kwargs=catalog)
        assert read.count() == 10 and read.sort("n").take_all() == ROWS
        dataset().write_iceberg("d.t", catalog)
        assert ray.data.read_iceberg(table_identifier="d.t", catalog_kwargs=catalog).count() == 20
        some = ray.data.read_iceberg(
            table_identifier="d.t", row_filter="n >= 8", selected_fields=("x",), catalog_kwargs=catalog
        )
        assert sorted(row["x"] for row in some.take_all()) == [4.0, 4.0, 4.5, 4.5] and some.columns() == ["x"]
        dataset().limit(1).write_iceberg("d.t", catalog, mode="overwrite")
        assert ray.data.read_iceberg(table_identifier="d.t", catalog_kwargs=catalog).take_all() == ROWS[:1]

    def test_a_write_that_fails_leaves_nothing(self, catalog: dict[str, Any]) -> None:
        with pytest.raises(RuntimeError, match="no more"):
            failing().write_iceberg("d.t", catalog)
        assert ray.data.read_iceberg(table_identifier="d.t", catalog_kwargs=catalog).count() == 0
        with pytest.raises(ValueError, match="modes"):
            dataset().write_iceberg("d.t", catalog, mode="ignore")


class TestDelta:
    """Delta Lake, where deltalake is installed: its wheels are too large for the tests' environment."""

    def test_written_and_read(self, tmp_path: Path) -> None:
        pytest.importorskip("deltalake")
        path = str(tmp_path / "t")
        dataset().write_delta(path, partition_by=["s"])
        found = ray.data.read_delta(path)
        assert found.count() == 10 and found.sort("n").take_all() == ROWS
        assert found.filter(expr=col("n") > 7).select_columns(["x"]).sort("x").take_all() == [{"x": 4.0}, {"x": 4.5}]
        assert ray.data.read_delta(path, columns=["x", "n"]).columns() == ["x", "n"]
        dataset().limit(1).write_delta(path, mode="overwrite")
        assert ray.data.read_delta(path).take_all() == ROWS[:1]
        assert ray.data.read_delta(path, version=0).count() == 10
        with pytest.raises(Exception, match="exists"):
            dataset().write_delta(path, mode="error")

    def test_a_write_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        pytest.importorskip("deltalake")
        path = str(tmp_path / "t")
        dataset().write_delta(path)
        with pytest.raises(Exception, match="no more"):
            failing().write_delta(path)
        assert ray.data.read_delta(path).count() == 10


class TestLance:
    """Lance, where pylance is installed: its wheels are too large for the tests' environment."""

    def test_written_and_read(self, tmp_path: Path) -> None:
        pytest.importorskip("lance")
        path = str(tmp_path / "t.lance")
        dataset().write_lance(path)
        found = ray.data.read_lance(path)
        assert found.count() == 10 and found.take_all() == ROWS
        assert found.select_columns(["x"]).limit(1).take_all() == [{"x": 0.0}]
        dataset().write_lance(path, mode="append")
        some = ray.data.read_lance(path, columns=["n"], filter="n > 8")
        assert some.take_all() == [{"n": 9}, {"n": 9}] and some.count() == 2
        assert ray.data.read_lance(path, version=1).count() == 10
        with pytest.raises(OSError, match="exists"):
            dataset().write_lance(path)

    def test_a_write_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        pytest.importorskip("lance")
        path = str(tmp_path / "t.lance")
        with pytest.raises(Exception, match="no more"):
            failing().write_lance(path)
        with pytest.raises(ValueError):
            ray.data.read_lance(path)


class TestMongo:
    """MongoDB, whose server mongomock stands in for, in this process."""

    @pytest.fixture(autouse=True)
    def server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import mongomock
        import pymongo

        store = mongomock.MongoClient()

        class Client:
            def __init__(self, uri: str) -> None:
                assert uri == "mongodb://here"

            def __enter__(self) -> Any:
                return store

            def __exit__(self, *error: object) -> None:
                return None

        monkeypatch.setattr(pymongo, "MongoClient", Client)

    def rows(self, **options: Any) -> list[dict[str, Any]]:
        source: Any = ray.data.read_mongo("mongodb://here", "d", "c", **options)._node.source
        tables = [table for params in source.reads(Parallelism()) for table in source.read(params)]
        return [row for table in tables for row in table.to_pylist()]

    def test_written_and_read(self) -> None:
        dataset().write_mongo("mongodb://here", "d", "c")
        found = self.rows()
        assert [{name: row[name] for name in ("n", "s", "x")} for row in found] == ROWS
        assert all(isinstance(row["_id"], str) for row in found)
        assert self.rows(pipeline=[{"$match": {"n": 9}}, {"$project": {"_id": 0, "x": 1}}]) == [{"x": 4.5}]
        assert self.rows(schema=pa.schema([("n", pa.int64())]))[3] == {"n": 3}

    def test_a_write_that_fails_leaves_nothing(self) -> None:
        with pytest.raises(RuntimeError, match="no more"):
            failing().write_mongo("mongodb://here", "d", "c")
        assert self.rows() == []


def test_blocks_that_do_not_fit_are_told() -> None:
    tables = [pa.table({"a": [1]}), pa.table({"a": pa.nulls(1)}), pa.table({"a": ["x"]})]
    rows = RowStream(tables, None)
    passed = rows.tables()
    assert next(passed).to_pylist() == [{"a": 1}] and next(passed).to_pylist() == [{"a": None}]
    with pytest.raises(TypeError, match="'a'"):
        next(passed)


@pytest.mark.parametrize("name", ["delta", "lance", "iceberg", "mongo"])
def test_a_library_that_is_missing_is_named_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray_async.data.sources.optional.find_spec", lambda module: None)
    arguments: dict[str, Any] = {"table_identifier": "t"} if name == "iceberg" else {}
    given = () if name == "iceberg" else ("u", "d", "c") if name == "mongo" else ("nowhere",)
    with pytest.raises(ImportError, match=rf"read_{name} needs .*, which is not installed: pip install"):
        getattr(ray.data, f"read_{name}")(*given, **arguments)
