import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_async.runtime.logs.lines import LineSplitter


def test_lines_arrive_whole() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o") == []
    assert splitter.feed(b"\n\nthree") == ["two", ""]
    assert splitter.flush() == ["three"]
    assert splitter.flush() == []


def test_crlf_is_one_end_even_in_two_pieces() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"a\r\nb\r") == ["a"]
    assert splitter.feed(b"\nc\n") == ["b", "c"]


def test_a_progress_bar_is_one_line() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"\r 10%") == []
    assert splitter.feed(b"\r 50%\r 90%") == []
    assert splitter.feed(b"\r100%\nnext\n") == ["100%", "next"]


def test_a_running_bar_can_be_seen_and_ends_without_an_empty_line() -> None:
    splitter = LineSplitter()
    splitter.feed(b"\r 10%\r 20%")
    assert splitter.take_progress() == [" 20%"]
    assert splitter.take_progress() == []
    assert splitter.feed(b"\r 30%") == []
    assert splitter.take_progress() == [" 30%"]
    assert splitter.feed(b"\nnext\n") == ["next"]


def test_an_unfinished_line_is_not_progress() -> None:
    splitter = LineSplitter()
    splitter.feed(b"wait for it")
    assert splitter.take_progress() == []
    assert splitter.feed(b"!\n") == ["wait for it!"]


def test_a_line_that_does_not_end_can_be_taken() -> None:
    splitter = LineSplitter()
    splitter.feed(b"one\nwait")
    splitter.feed(b" for it")
    assert splitter.holds_text()
    assert splitter.take_text() == ["wait for it"]
    assert splitter.take_text() == []
    assert not splitter.holds_text()
    assert splitter.feed(b"\ntwo\n") == ["two"]  # its end makes no empty line
    splitter.feed(b"and")
    assert splitter.take_text() == ["and"]
    assert splitter.feed(b" more\n\n") == [" more", ""]
    splitter.feed(b"\r 10%")
    assert splitter.take_text() == []
    assert splitter.feed(b"\n") == [" 10%"]


def test_a_character_in_pieces_stays_whole_when_its_line_is_taken() -> None:
    splitter = LineSplitter()
    for text in ("é", "漢", "😀", "a漢"):
        data = text.encode()
        for cut in range(1, len(data)):
            splitter.feed(b"x" + data[:cut])
            first = splitter.take_text()
            assert "\ufffd" not in first[0]
            splitter.feed(data[cut:])
            assert "".join([*first, *splitter.feed(b"\n")]) == "x" + text
    splitter.feed(b"x\x80\x80\x80\x80")
    assert splitter.take_text() == ["x" + 4 * "\ufffd"]
    assert splitter.feed(b"\n") == []


def test_cursor_moves_go_and_colours_stay() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"\n\r 5%\x1b[A\n\x1b[Ahello\n\x1b[A\n") == ["", " 5%", "hello"]
    assert splitter.feed(b"\x1b[31mred\x1b[0m\n") == ["\x1b[31mred\x1b[0m"]


def test_a_bar_of_tqdm_leaves_its_last_state(monkeypatch: pytest.MonkeyPatch) -> None:
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)  # no thread of tqdm's own
    out = io.StringIO()
    for _ in tqdm.tqdm(range(50), file=out, mininterval=0, ascii=True):
        continue
    (line,) = LineSplitter().feed(out.getvalue().encode())
    assert line.startswith("100%")


def test_characters_in_pieces_and_no_utf8() -> None:
    splitter = LineSplitter()
    data = "größer €".encode()
    lines = [line for byte in data + b"\n" for line in splitter.feed(bytes([byte]))]
    assert lines == ["größer €"]
    assert splitter.feed(b"a\xffb\n") == ["a\ufffdb"]


def test_overlong_lines_are_cut_between_characters() -> None:
    splitter = LineSplitter(max_line_bytes=10)
    lines = splitter.feed(("€" * 7).encode()) + splitter.feed(b"\n")
    assert lines == ["€€€", "€€€", "€"]
    assert LineSplitter(max_line_bytes=4).feed(b"0123456789\nab\n") == ["0123", "4567", "89", "ab"]


def test_a_bar_without_end_takes_bounded_memory() -> None:
    splitter = LineSplitter()
    for step in range(1000):
        splitter.feed(b"\r" + str(step).encode() * 10)
    assert len(splitter._partial) < 100


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    whole, cut = LineSplitter(), LineSplitter()
    expected = whole.feed(b"".join(pieces)) + whole.flush()
    assert [line for piece in pieces for line in cut.feed(piece)] + cut.flush() == expected
