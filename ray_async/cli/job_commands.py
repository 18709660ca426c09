"""The commands about jobs: submit, status, logs, list, stop and delete."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_async.cli.output import FORMATS, render
from ray_async.config import ADDRESS, Settings
from ray_async.suggestion import did_you_mean

if TYPE_CHECKING:
    from ray_async.job_submission import JobSubmissionClient

__all__ = ("add_job_commands",)

_COLUMNS = ("submission_id", "status", "entrypoint", "message")

Run = Callable[["JobSubmissionClient", argparse.Namespace], int]


def add_job_commands(commands: Any) -> None:
    """Add `job` and its commands to those of `ray_async`."""
    jobs = commands.add_parser("job", help="submit programs, and look after them")
    parts = jobs.add_subparsers(required=True, metavar="COMMAND")
    _add_submit(parts)
    _add_with_id(parts, "status", _status, "say what has become of a job")
    logs = _add_with_id(parts, "logs", _logs, "show what a job has written")
    logs.add_argument("-f", "--follow", action="store_true", help="and what it writes, until it ends")
    stop = _add_with_id(parts, "stop", _stop, "have a job end")
    stop.add_argument("--no-wait", action="store_true", help=argparse.SUPPRESS)
    _add_with_id(parts, "delete", _delete, "forget a job that has ended, and its output")
    listed = _add(parts, "list", _list, "list the jobs, the latest first")
    listed.add_argument("--format", choices=FORMATS, default="table", help=f"{', '.join(FORMATS)} (table)")


def _add(parts: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(name, help=text, allow_abbrev=False)
    text = "of the node, or the URL of its dashboard, if there are several"
    parser.add_argument("--address", default=Settings().get(ADDRESS) or None, help=text)
    parser.add_argument("--verify", help=argparse.SUPPRESS)
    parser.add_argument("--headers", type=_object, help="more headers of the requests, as JSON")
    parser.set_defaults(run=lambda arguments: _guarded(run, arguments))
    return parser


def _add_with_id(parts: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser = _add(parts, name, run, text)
    parser.add_argument("id", help="the job's")
    return parser


def _add_submit(parts: Any) -> None:
    parser = _add(parts, "submit", _submit, "submit a command, as `ray_async job submit -- python train.py`")
    parser.add_argument("--submission-id", "--job-id", help="its id; a new one by default")
    parser.add_argument("--working-dir", help="the folder that it runs in, and that its workers have")
    parser.add_argument("--runtime-env", help="a file with its runtime environment, as YAML or JSON")
    parser.add_argument("--runtime-env-json", type=_object, default={}, help="the same as an object of JSON")
    parser.add_argument("--metadata-json", type=_object, help="texts by name, as JSON")
    parser.add_argument("--entrypoint-num-cpus", type=float, help="what the command itself takes")
    parser.add_argument("--entrypoint-num-gpus", type=float)
    parser.add_argument("--entrypoint-memory", type=int, help="in bytes")
    parser.add_argument("--entrypoint-resources", type=_object, help="by name, as JSON")
    parser.add_argument("--entrypoint-label-selector", type=_object, help="by name, as JSON")
    parser.add_argument("--no-wait", action="store_true", help="do not show its output until it ends")
    parser.add_argument("entrypoint", nargs="+", help="the command and its words, after `--`")


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)  # a ValueError is reported as a wrong word
    if not isinstance(found, dict):
        raise ValueError(text)
    return found


def _guarded(run: Run, arguments: argparse.Namespace) -> int:
    from ray_async.job_submission import JobSubmissionClient

    try:
        return run(JobSubmissionClient(arguments.address, headers=arguments.headers), arguments)
    except (RuntimeError, ConnectionError, ImportError, ValueError) as error:
        print(f"ray_async: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _submit(client: JobSubmissionClient, arguments: argparse.Namespace) -> int:
    runtime_env = {**_environment_file(arguments.runtime_env), **arguments.runtime_env_json}
    if arguments.working_dir:
        runtime_env["working_dir"] = arguments.working_dir
    words = arguments.entrypoint
    name = client.submit_job(
        entrypoint=words[0] if len(words) == 1 else shlex.join(words),
        submission_id=arguments.submission_id,
        runtime_env=runtime_env,
        metadata=arguments.metadata_json,
        entrypoint_num_cpus=arguments.entrypoint_num_cpus,
        entrypoint_num_gpus=arguments.entrypoint_num_gpus,
        entrypoint_memory=arguments.entrypoint_memory,
        entrypoint_resources=arguments.entrypoint_resources,
        entrypoint_label_selector=arguments.entrypoint_label_selector,
    )
    print(f"Job '{name}' submitted successfully", flush=True)
    if arguments.no_wait:
        print(f"`ray_async job logs {name} --follow` shows its output, `ray_async job stop {name}` ends it.")
        return 0
    return _follow(client, name)


def _environment_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    text = Path(path).read_text()
    if path.endswith(".json"):
        return _object(text)
    try:
        import yaml
    except ImportError as error:
        raise ImportError("a runtime environment in YAML needs PyYAML: pip install PyYAML") from error
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise ValueError(f"{path} has no mapping")
    return found


def _follow(client: JobSubmissionClient, name: str) -> int:
    async def show() -> None:
        async for part in client.tail_job_logs(name):
            print(part, end="", flush=True)

    asyncio.run(show())
    return _say(client, name)


def _say(client: JobSubmissionClient, name: str) -> int:
    found = client.get_job_info(name)
    words = {"SUCCEEDED": "succeeded", "FAILED": "failed", "STOPPED": "was stopped"}
    if not found.status.is_terminal():
        print(f"Status for job '{name}': {found.status}\n{found.message}")
        return 0
    print(f"Job '{name}' {words[found.status]}" + ("" if found.status == "SUCCEEDED" else f"\n{found.message}"))
    return 0 if found.status == "SUCCEEDED" else 1


def _status(client: JobSubmissionClient, arguments: argparse.Namespace) -> int:
    _check(client, arguments.id)
    _say(client, arguments.id)
    return 0


def _logs(client: JobSubmissionClient, arguments: argparse.Namespace) -> int:
    _check(client, arguments.id)
    if arguments.follow:
        return _follow(client, arguments.id)
    print(client.get_job_logs(arguments.id), end="")
    return 0


def _stop(client: JobSubmissionClient, arguments: argparse.Namespace) -> int:
    _check(client, arguments.id)
    if client.stop_job(arguments.id):
        print(f"Job '{arguments.id}' was asked to end.")
    else:
        print(f"Job '{arguments.id}' has ended already.")
    return 0


def _delete(client: JobSubmissionClient, arguments: argparse.Namespace) -> int:
    _check(client, arguments.id)
    client.delete_job(arguments.id)
    print(f"Job '{arguments.id}' is forgotten.")
    return 0


def _list(client: JobSubmissionClient, arguments: argparse.Namespace) -> int:
    rows = [{name: getattr(job, name) for name in (*_COLUMNS, "start_time", "end_time")} for job in client.list_jobs()]
    print(render(rows, arguments.format, _COLUMNS))
    return 0


def _check(client: JobSubmissionClient, name: str) -> None:
    """A wrong id is answered with one that is meant, perhaps."""
    known = [job.submission_id for job in client.list_jobs()]
    if name not in known:
        raise ValueError(f"There is no job {name!r}.{did_you_mean(name, known)}")
