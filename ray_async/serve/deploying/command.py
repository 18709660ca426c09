"""The command `ray_async serve`: deploy from import paths and config files, and look at what runs."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import ray_async as ray
from ray_async.command_parser import CommandParser
from ray_async.serve import api
from ray_async.serve.application import BuiltApplication, ConfigSettings, build
from ray_async.serve.config import HTTPOptions, gRPCOptions
from ray_async.serve.deploying.from_config import as_config, as_options, built_of, grpc_of, http_of, settings_of
from ray_async.serve.deploying.import_path import find_application
from ray_async.serve.deploying.reloading import Sources
from ray_async.serve.deploying.schema import ConfigError, read_config
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.rest.options import RESTOptions
from ray_async.serve.script_end import INTERRUPTED, serve_until_interrupt

__all__ = ("main",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words after the command's name; those of this process by default.

    Returns:
        The exit status: 0, 1 when the command could not do what it was asked to, or 130 after Ctrl-C.
    """
    arguments = _parser().parse(argv)
    folder = str(Path(getattr(arguments, "app_dir", ".")).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        arguments.run(arguments)
    except (RayServeException, RuntimeError, OSError, ImportError, ValueError, TypeError) as error:
        print(f"ray_async serve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ray_async serve: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(prog="ray_async serve", description="Deploy applications, and look at them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="deploy, and go on until Ctrl-C; starts a node where none runs")
    _add_target(run)
    run.add_argument("--blocking", action=argparse.BooleanOptionalAction, default=True)
    run.add_argument("--non-blocking", dest="blocking", action="store_false", help="end once the application runs")
    run.add_argument("-r", "--reload", action="store_true", help="deploy again when a source in the app dir changes")
    run.add_argument("--route-prefix", default="/", help="where an import path's application takes requests")
    run.add_argument("--host", help="address to listen on (127.0.0.1, or the config's)")
    run.add_argument("--port", type=int, help="port to listen on (8000, or the config's)")
    run.set_defaults(run=_run)

    deploy = commands.add_parser("deploy", help="deploy to a node that runs, and do not wait")
    _add_target(deploy)
    deploy.set_defaults(run=_deploy)

    start = commands.add_parser("start", help="start Serve on a node that runs")
    start.add_argument("--http-host", default="127.0.0.1")
    start.add_argument("--http-port", type=int, default=8000)
    start.add_argument("--grpc-port", type=int, default=9000)
    start.add_argument("--grpc-servicer-functions", nargs="+", default=[], metavar="IMPORT_PATH")
    start.add_argument("--rest-port", type=int, help="serve the REST API on this port of the loopback interface")
    start.add_argument("-d", "--app-dir", default=".", help="folder from which the REST API imports")
    start.set_defaults(run=_start)

    make = commands.add_parser("build", help="write the config of applications")
    make.add_argument("import_paths", nargs="+", metavar="IMPORT_PATH")
    make.add_argument("-d", "--app-dir", default=".", help="folder from which is imported")
    make.add_argument("--grpc-servicer-functions", nargs="+", default=[], metavar="FUNCTION", help="for grpc_options")
    make.add_argument("-o", "--output-path", help="file to write; the terminal by default")
    make.set_defaults(run=_build)

    for name, function, text in (
        ("status", _status, "show the status of applications, as YAML"),
        ("config", _config, "show the options in force of what was deployed from configs, as YAML"),
    ):
        show = commands.add_parser(name, help=text)
        show.add_argument("-n", "--name", help="of one application")
        show.set_defaults(run=function)

    end = commands.add_parser("shutdown", help="delete all applications and end Serve")
    end.add_argument("-y", "--yes", action="store_true", help="do not ask")
    end.set_defaults(run=_shutdown)
    for command in (run, deploy, start, end, *(commands.choices[name] for name in ("status", "config"))):
        command.add_argument("-a", "--address", help="of the node, if there are several")
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="CONFIG_OR_IMPORT_PATH", help="a YAML file, or module:attribute")
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE", help="of the function that builds the application")
    parser.add_argument("-d", "--app-dir", default=".", help="folder from which is imported")
    parser.add_argument("--name", default="default", help="of an import path's application")


def _run(arguments: argparse.Namespace) -> None:
    is_config = _is_config(arguments.target)
    print(f"Running {'config file' if is_config else 'import path'}: '{arguments.target}'.", flush=True)
    sources = Sources(Path(arguments.app_dir)) if arguments.reload else None
    applications, http, grpc, settings = _built(arguments, sources)
    ray.init(address=arguments.address, preload=["ray_async.serve"])
    api.deploy(applications, _addressed(http, arguments), wait=True, grpc=grpc, settings=settings)
    if not arguments.blocking:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: requests are finished
    line = f"Serving {api.status().url} until Ctrl-C"
    if sources is None:
        serve_until_interrupt(f"{line}.", threading.Event().wait, api.shutdown)
    else:
        serve_until_interrupt(f"{line}; changes are deployed.", partial(_reload, arguments, sources), api.shutdown)


def _reload(arguments: argparse.Namespace, sources: Sources) -> None:
    """Deploy whenever a source changes; what cannot be deployed is said."""
    while True:
        changed = sources.wait_for_change()
        print(f"Deploying again: {', '.join(path.name for path in changed)} changed.", flush=True)
        try:
            sources.forget_modules()
            applications, *_, settings = _built(arguments, sources)
            api.deploy(applications, None, wait=True, settings=settings)
        except Exception:  # of the sources: whatever is wrong with them, they will change again
            traceback.print_exc()
        else:
            print("Deployed.", flush=True)


def _deploy(arguments: argparse.Namespace) -> None:
    applications, http, grpc, settings = _built(arguments, None)
    _attach(arguments)
    api.deploy(applications, http, wait=False, grpc=grpc, settings=settings)
    print("Sent deploy request successfully.")


def _built(
    arguments: argparse.Namespace, sources: Sources | None
) -> tuple[list[BuiltApplication], HTTPOptions | None, gRPCOptions | None, ConfigSettings | None]:
    """The applications that a command names, and what a config says: where they are served, and the rest."""
    if _is_config(arguments.target):
        if arguments.arguments:
            raise ConfigError("arguments of applications stand in the config file itself, under `args`")
        config = read_config(Path(arguments.target))
        settings = settings_of(config)
        http = None if settings.without_http else http_of(config.http_options)
        return built_of(config), http, grpc_of(config.grpc_options), settings
    values = dict(pair.split("=", 1) for pair in arguments.arguments if "=" in pair)
    if len(values) != len(arguments.arguments):
        raise ConfigError(f"arguments must be given as key=value, each once; got {' '.join(arguments.arguments)}")
    target = find_application(arguments.target, values)
    if sources is not None:
        sources.travel_by_value()
    return [build(target, arguments.name, getattr(arguments, "route_prefix", "/"))], None, None, None


def _addressed(http: HTTPOptions | None, arguments: argparse.Namespace) -> HTTPOptions | None:
    """HTTP options with what the command line says."""
    given = {name: getattr(arguments, name) for name in ("host", "port") if getattr(arguments, name) is not None}
    return replace(http or HTTPOptions(), **given) if http is not None or given else None


def _is_config(target: str) -> bool:
    return target.endswith((".yaml", ".yml"))


def _attach(arguments: argparse.Namespace) -> None:
    ray.init(address=arguments.address or "auto", log_to_driver=False)


def _start(arguments: argparse.Namespace) -> None:
    _attach(arguments)
    services = tuple(arguments.grpc_servicer_functions)
    grpc = gRPCOptions(arguments.grpc_port, services, host=arguments.http_host)
    rest = None
    if arguments.rest_port is not None:
        rest = RESTOptions(arguments.rest_port, path=(arguments.app_dir,))
    api.start(HTTPOptions(arguments.http_host, arguments.http_port), grpc_options=grpc, rest_options=rest)
    if rest is not None:
        status = api.status()
        print(f"REST API: http://{status.rest_address}/api/serve/applications/")
        print(f"Its token is in {status.rest_token_file}")


def _build(arguments: argparse.Namespace) -> None:
    found = [(path, find_application(path, {})) for path in arguments.import_paths]
    config = as_config(found)
    if arguments.grpc_servicer_functions:
        config["grpc_options"]["grpc_servicer_functions"] = arguments.grpc_servicer_functions
    text = yaml.safe_dump(config, sort_keys=False)
    if arguments.output_path:
        Path(arguments.output_path).write_text(text)
    else:
        print(text, end="")


def _status(arguments: argparse.Namespace) -> None:
    _attach(arguments)
    status: dict[str, Any] = asdict(api.status())
    status["applications"] = _of_name(status["applications"], arguments.name)
    _show(status)


def _config(arguments: argparse.Namespace) -> None:
    _attach(arguments)
    declared = _of_name(api.declared(), arguments.name)
    listed = [
        {
            "name": name,
            "route_prefix": built.route_prefix,
            "deployments": [as_options(spec.options, spec.name) for spec in built.deployments],
        }
        for name, built in declared.items()
    ]
    _show({"applications": listed})


def _of_name(applications: dict[str, Any], name: str | None) -> dict[str, Any]:
    if name is None:
        return applications
    if name not in applications:
        raise ConfigError(f"there is no application {name!r}")
    return {name: applications[name]}


def _show(value: Any) -> None:
    print(yaml.safe_dump(_plain(value), sort_keys=False), end="")


def _plain(value: Any) -> Any:
    """The value of dicts, lists, and what YAML has: members of enumerations are their values."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _shutdown(arguments: argparse.Namespace) -> None:
    if not arguments.yes and input("Delete all applications and end Serve? [y/N] ").strip().lower() not in ("y", "yes"):
        print("Nothing is changed.")
        return
    _attach(arguments)
    api.shutdown()
    print("Serve has ended.")
