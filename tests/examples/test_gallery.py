"""The programs of the gallery on small input, and its page, which shows each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import ray_async as ray
from examples.forest_fire import FIRE, TREE, simulate
from examples.log_reduce import count, map_file, summary, write_logs
from examples.out_of_core import make_sales, run
from examples.parameter_server import Server, Worker, accuracy, digits, train
from tests.document_links import ROOT

PAGE = ROOT / "docs" / "gallery.md"


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """A node with room for the actors of each program."""
    ray.init(num_cpus=4, log_to_driver=False, preload=["pyarrow"])
    yield
    ray.shutdown()


def output(*arguments: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_chat_streams_as_many_tokens_as_were_asked_for() -> None:
    prompt, said, done = output("examples.chat_tokens", "--tokens", "7")
    assert prompt == "> The value of"
    assert len(said.split()) == 7 and done == "[7 tokens]"


def test_the_crawler_finds_each_page_once_and_the_lost_one() -> None:
    pages, words = output("examples.crawler", "--at-once", "4")
    assert re.fullmatch(r"61 pages in [\d.]+ s, 1 could not be had: \['http://127\.0\.0\.1:\d+/missing'\]", pages)
    assert words.startswith("words: module 61, python 61")


@pytest.mark.usefixtures("session")
def test_a_forest_is_the_same_in_one_strip_and_in_three() -> None:
    whole, counts = simulate(30, 1, 12)
    parted, other_counts = simulate(30, 3, 12)
    assert np.array_equal(whole, parted) and np.array_equal(counts, other_counts)
    assert (counts.sum(1) == 900).all() and counts[:, FIRE].sum() > 0 and (whole == TREE).sum() == counts[-1, TREE]


def test_a_forest_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "forest.png"
    (line,) = output("examples.forest_fire", "--size", "30", "--strips", "2", "--steps", "5", "--plot", str(picture))
    assert line.startswith("5 steps of 900 cells: ") and picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("synchronous", [False, True])
def test_a_parameter_server_learns(synchronous: bool) -> None:
    pixels, labels, test_pixels, test_labels = digits()
    server = Server.remote(pixels.shape[1])
    workers = [Worker.remote(pixels[part::2], labels[part::2], part) for part in range(2)]
    assert train(server, workers, 120, synchronous) == 120
    assert accuracy(test_pixels, test_labels, ray.get(server.current.remote())) > 0.8


@pytest.mark.usefixtures("session")
def test_logs_are_reduced_as_one_process_would(tmp_path: Path) -> None:
    write_logs(tmp_path, files=3, lines=700)
    table, damaged = count(tmp_path, reducers=2)
    mapped = [map_file(path, 1) for path in sorted(tmp_path.glob("*.log"))]
    together: dict[str, list[tuple[int, int, int]]] = {}
    for rows, _ in mapped:
        for path, values in rows.items():
            together.setdefault(path, []).extend(values)
    assert table == {path: summary(rows) for path, rows in together.items()}
    assert damaged == sum(broken for _, broken in mapped) > 0
    assert sum(row[0] for row in table.values()) + damaged == 2100


@pytest.mark.usefixtures("session")
def test_sales_are_cleaned_joined_sorted_and_parted(tmp_path: Path) -> None:
    make_sales(tmp_path / "in", 8000)
    written, table = run(tmp_path / "in", tmp_path / "out")
    sold = pq.read_table(tmp_path / "in").to_pandas()
    sold = sold[sold.price > 0]
    cents = (sold.price * 100).round().astype(int).groupby(sold.shop % 4).sum()
    assert written == len(sold)
    assert {row["region"]: row["sum(cents)"] for row in table} == {
        region: cents[number] for number, region in enumerate(("north", "east", "south", "west"))
    }
    parts = sorted((tmp_path / "out" / "region=east").iterdir())
    assert [path.suffix for path in parts] == [".parquet"] * len(parts)


def test_a_cluster_loses_a_machine_and_counts_on() -> None:
    said = output("examples.cluster_demo")
    assert "2 of 3 machines are left." in said and said[-1] == "A sieve on this machine finds as many."


def test_the_page_shows_each_program_with_its_output_or_picture() -> None:
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    programs = [re.findall(r"`python -m (examples\.\w+)", section) for section in sections]
    assert len(sections) == 10 and all(programs)
    assert all((ROOT / f"{name.replace('.', '/')}.py").exists() for names in programs for name in names)
    assert all(re.search(r"^```(text|console)$|!\[", section, re.MULTILINE) for section in sections)
