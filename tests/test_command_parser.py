"""Commands name what was probably meant."""

import subprocess
from collections.abc import Callable, Sequence

import pytest

from ray_async import cli
from ray_async.command_parser import CommandParser
from ray_async.serve.deploying import command as serve_command
from ray_async.tune.command import command as tune_command

Main = Callable[[Sequence[str]], int]


@pytest.mark.parametrize(
    ("main", "words", "meant"),
    [
        (cli.main, "stat", "start"),
        (cli.main, "serv run", "serve"),
        (cli.main, "start --haed", "--head"),
        (serve_command.main, "rn a:b", "run"),
        (serve_command.main, "depoly c.yaml", "deploy"),
        (serve_command.main, "run a:b --prot=80", "--port"),
        (serve_command.main, "status --nam x", None),  # an abbreviation
        (tune_command.main, "list-trails here", "list-trials"),
        (tune_command.main, "page here --mode mxa", "max"),
    ],
)
def test_the_nearest_word_is_named(
    main: Main, words: str, meant: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if meant is None:
        monkeypatch.setattr(serve_command, "_status", lambda arguments: None)
        assert main(words.split()) == 0
        return
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(f"Did you mean {meant!r}?")


def test_no_word_is_named_where_none_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    parser = CommandParser(prog="tool")
    parser.add_subparsers().add_parser("build").add_argument("--quick", action="store_true")
    assert parser.parse(["build", "--quick"]).quick is True
    for words in (["zzz"], ["build", "--zzz"], ["build", "-x"], ["build", "more"]):
        with pytest.raises(SystemExit):
            parser.parse(words)
        assert "mean" not in capsys.readouterr().err


def test_an_unknown_option_shows_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        serve_command.main(["run", "a:b", "--prot", "80"])
    assert capsys.readouterr().err.startswith("usage: ray_async serve run")


def test_words_of_the_benchmark_suite_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def run(words: list[str], check: bool) -> subprocess.CompletedProcess[bytes]:
        called.append(words[1:])
        return subprocess.CompletedProcess(words, 3)

    monkeypatch.setattr(subprocess, "run", run)
    assert cli.main(["microbenchmark", "--quick", "--only", "calls"]) == 3
    assert called == [["-m", "bench", "--quick", "--only", "calls"]]
