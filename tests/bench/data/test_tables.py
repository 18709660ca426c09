"""The tables that the cases read."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.data.tables import FILES, Tables


@pytest.mark.parametrize(("kind", "columns"), [
    ("facts", ["id", "key", "other", "value", "text"]), ("sides", ["id", "side"]), ("wide", ["value", "payload"]),
])  # fmt: skip
def test_tables_have_their_rows_in_files(kind: str, columns: list[str], tmp_path: Path) -> None:
    folder = Tables(tmp_path).folder(kind, 100)
    table = pq.read_table(folder)
    assert len(list(folder.iterdir())) == FILES and table.num_rows == 100 and table.column_names == columns
    assert Tables(tmp_path / "again").folder(kind, 100) != folder
    assert pq.read_table(tmp_path / "again" / f"{kind}-100").equals(table), "the same each time"


def test_what_is_there_is_used_again_and_what_is_half_done_is_not(tmp_path: Path) -> None:
    (tmp_path / "sides-3.part").mkdir()
    (tmp_path / "sides-3.part" / "left").write_text("by a killed run")
    folder = Tables(tmp_path).folder("sides", 3)
    assert [path.name for path in folder.iterdir()] == ["part-00.parquet"]
    (folder / "mark").touch()
    assert (Tables(tmp_path).folder("sides", 3) / "mark").exists()


def test_texts_have_up_to_99_characters(tmp_path: Path) -> None:
    sizes = [len(text) for text in pq.read_table(Tables(tmp_path).folder("facts", 500)).column("text").to_pylist()]
    assert min(sizes) < 10 and 90 < max(sizes) < 100


def test_wide_rows_have_a_hundred_bytes(tmp_path: Path) -> None:
    payloads = pq.read_table(Tables(tmp_path).folder("wide", 10)).column("payload").to_pylist()
    assert {len(payload) for payload in payloads} == {92} and len(set(payloads)) == 10
