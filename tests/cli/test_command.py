import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ray_async
from ray_async.cli import command as cli
from ray_async.cli.status_report import format_status
from ray_async.runtime.start import node_control
from ray_async.runtime.start.node_control import NodeEntry, NodeStartError, StopOutcome


class Control:
    """Stands in for the functions of node_control, and notes what they are asked."""

    def __init__(self) -> None:
        self.nodes: list[NodeEntry] = []
        self.configs: list[dict[str, Any]] = []
        self.stops: list[dict[str, Any]] = []
        self.outcome = StopOutcome(0, 0)
        self.start_error: Exception | None = None
        self.interrupted = False

    def start_head(self, config: dict[str, Any]) -> NodeEntry:
        json.dumps(config)
        self.configs.append(config)
        if self.start_error:
            raise self.start_error
        return NodeEntry(config["address"], "/s", 1, 1, "/s/node")

    def find_nodes(self) -> list[NodeEntry]:
        return self.nodes

    def find_node(self, address: str | None = None) -> NodeEntry | None:
        return next((entry for entry in self.nodes if address in (None, entry.address)), None)

    def stop_nodes(self, **options: Any) -> StopOutcome:
        self.stops.append(options)
        return self.outcome

    def wait_for_end(self, entry: NodeEntry) -> bool:
        if self.interrupted:
            raise KeyboardInterrupt
        return True


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Control:
    control = Control()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in ("start_head", "find_nodes", "find_node", "stop_nodes", "wait_for_end"):
        monkeypatch.setattr(node_control, name, getattr(control, name))
    return control


def start(*words: str) -> int:
    return cli.main(["start", "--head", "--node-ip-address", "10.0.0.1", *words])


def test_start_prints_what_scripts_look_for(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert start() == 0
    out = capsys.readouterr().out
    assert out.startswith("Local node IP: 10.0.0.1\n")
    assert "Ray runtime started." in out
    assert out.partition("--address='")[2].partition("'")[0] == "10.0.0.1:6379"
    assert control.configs == [{"head": True, "address": "10.0.0.1:6379"}]


def test_options_reach_the_node(control: Control, tmp_path: Path) -> None:
    labels = tmp_path / "labels.yaml"
    labels.write_text("# of this machine\nzone: b\nkind: cpu\n")
    words = "--num-cpus 2 --num-gpus 0.5 --memory 100 --object-store-memory 200 --node-name n --labels zone=a,x=y"
    resources = ("--resources", '{"tpu": 2}', "--system-config", '{"k": 1}', "--labels-file", str(labels))
    assert start(*words.split(), *resources, "--port", "7000") == 0
    assert control.configs[0] == {
        "head": True,
        "address": "10.0.0.1:7000",
        "num_cpus": 2,
        "num_gpus": 0.5,
        "memory": 100,
        "object_store_memory": 200,
        "node_name": "n",
        "labels": {"zone": "a", "kind": "cpu", "x": "y"},
        "resources": {"tpu": 2},
        "system_config": {"k": 1},
    }


@pytest.mark.parametrize(
    "words",
    [
        ["--num-cpus", "-1"],
        ["--num-cpus", "many"],
        ["--resources", "[]"],
        ["--resources", '{"a": "b"}'],
        ["--labels", "novalue"],
        ["--labels", '{"a": 1}'],
        ["--labels", "ray.io/node-id=x"],
        ["--no-such-option"],
        ["--hea"],
    ],
)
def test_bad_options_end_with_usage(control: Control, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        start(*words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
    assert control.configs == []


def test_options_without_meaning_get_a_note(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("--metrics-export-port", "1", "--no-monitor", "--log-style", "record", "--disable-usage-stats") == 0
    notes = capsys.readouterr().err.splitlines()
    assert [note.split()[1] for note in notes] == ["--metrics-export-port", "--no-monitor"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Either --head or --address"),
        (["--address", "h:1", "--head"], "leave out --head"),
        (["--address", "h:1", "--cluster"], "leave out --head"),
        (["--address", "h"], "is host:port"),
        (["--address", "h:0"], "is host:port"),
        (["--address", "h:1", "--cluster-credentials", "/nowhere/cluster.json"], "copy that file here"),
    ],
)
def test_start_needs_head(control: Control, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["start", *words]) == 1
    assert message in capsys.readouterr().err
    assert control.configs == []


def test_a_taken_address_is_refused_and_port_zero_finds_another(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    control.nodes = [NodeEntry(f"10.0.0.1:{port}", "/s", 1, 1, "") for port in (6379, 6380)]
    assert start() == 1
    assert "already running at 10.0.0.1:6379" in capsys.readouterr().err
    assert start("--port", "0") == 0
    assert control.configs[0]["address"] == "10.0.0.1:6381"


def test_a_node_that_does_not_start_is_reported(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    control.start_error = NodeStartError("no room")
    assert start() == 1
    assert "no room" in capsys.readouterr().err


def test_block_ends_with_the_node_or_ends_it(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("--block") == 1
    assert "The node has ended" in capsys.readouterr().err
    assert control.stops == []
    control.interrupted = True
    assert start("--block") == 0
    assert [stop["only"].address for stop in control.stops] == ["10.0.0.1:6379"]


@pytest.mark.parametrize(
    ("outcome", "text", "status"),
    [
        (StopOutcome(0, 0), "Did not find any active Ray processes.", 0),
        (StopOutcome(3, 3), "Stopped all 3 Ray processes.", 0),
        (StopOutcome(3, 2), "Stopped only 2 out of 3", 1),
    ],
)
def test_stop(
    control: Control, outcome: StopOutcome, text: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    control.outcome = outcome
    assert cli.main(["stop", "-f", "-g", "3"]) == status
    assert text in capsys.readouterr().out
    assert control.stops == [{"force": True, "grace_period_s": 3.0}]


@pytest.mark.parametrize(("words", "message"), [([], "on this machine"), (["--address", "h:1"], "at h:1")])
def test_status_without_a_node(
    control: Control, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", *words]) == 1
    assert message in capsys.readouterr().err


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ray_async, "__version__", "1.2.3", raising=False)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "ray_async, version 1.2.3\n"


def test_the_status_report() -> None:
    nodes = [
        {"NodeID": "aa", "Alive": True, "NodeManagerAddress": "10.0.0.1", "Resources": {"CPU": 4.0}},
        {"NodeID": "bb", "Alive": False, "NodeManagerAddress": "10.0.0.2", "DeathReasonMessage": "killed"},
    ]
    total = {"CPU": 4.0, "GPU": 1.0, "memory": 3 * 2.0**30, "node:10.0.0.1": 1.0}
    available = {"CPU": 2.5, "memory": 3 * 2.0**30, "node:10.0.0.1": 1.0}
    demands = [{"resources": {"CPU": 1.0}, "count": 7}]
    lines = format_status(nodes, total, available, demands, now=0, verbose=True).splitlines()
    assert lines[0].startswith("======== Autoscaler status: 19")
    for expected in (
        "Node status",
        " 1 aa (10.0.0.1)",
        " bb: killed",
        "Total Usage:",
        " 1.5/4.0 CPU",
        " 1.0/1.0 GPU",
        " 0B/3.00GiB memory",
        " {'CPU': 1.0}: 7+ pending tasks/actors",
        "Node: aa",
        "  4.0 CPU",
    ):
        assert expected in lines
    assert not any("node:10.0.0.1" in line for line in lines)
    assert " (no active nodes)" in format_status([], {}, {}).splitlines()


@pytest.mark.parametrize(
    ("given", "labels"), [("{}", {}), ('{"zone": "a"}', {"zone": "a"}), ('"zone=a, x=y"', {"zone": "a", "x": "y"})]
)
def test_labels_are_pairs_or_json(control: Control, given: str, labels: dict[str, str]) -> None:
    start("--labels", given)
    assert control.configs[0]["labels"] == labels


PROGRAM = """
import sys
import ray_async as ray

with ray.init("local", num_cpus=5) as context:
    print(context.address_info["address"], flush=True)
    sys.stdin.read()
"""


def status(*words: str) -> str:
    command = [sys.executable, "-m", "ray_async", "status", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_status_shows_the_nodes_of_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with ray_async.init("local", num_cpus=3, log_to_driver=False) as context:
        shown = status()
        assert shown.startswith("======== Autoscaler status") and " 0.0/3.0 CPU" in shown
        program = [sys.executable, "-c", PROGRAM]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None and other.stdout is not None
            address = other.stdout.readline().strip()
            shown = status()
            for known, cpus in ((context.address_info["address"], 3), (address, 5)):
                assert f"Node at {known}, of the program that called init(), node process " in shown
                assert f" 0.0/{cpus}.0 CPU" in shown
            assert " 0.0/5.0 CPU" in status("--address", address)
            assert " 0.0/3.0 CPU" not in status("--address", address)
            other.stdin.close()
            assert other.wait(timeout=60) == 0
