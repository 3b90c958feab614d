"""dragoman-serve: models behind HTTP."""

if __name__ == "__main__":  # before the imports, which take seconds
    from service import commands

    commands.serve()

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from model.cli.command import (
    OK,
    add_machine_arguments,
    add_shortlist_argument,
    command_parser,
    run_command,
)
from model.decoding.precision.dtypes import PRECISIONS
from model.errors import ConfigError
from service.app import create_app
from service.limits.api_keys import APIKeys
from service.observability.logs import configure_logging
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.registry.models_file import ModelEntry, entries_of_runs, read_models_file
from service.server import Server
from service.settings import PREFIX, Settings, read_settings

NAME = "dragoman-serve"

DESCRIPTION = """\
Translate over HTTP with trained models. Requests join those in flight and leave when they are
done; none changes the answer of another.

  GET  /livez          whether it runs; /readyz whether it takes requests
  POST /v1/translate   {"text": "..."} or {"text": ["...", "..."]}; also "options": {...}
  GET  /openapi.json   all of it, for programs

SIGTERM and Ctrl-C end it after the requests in flight, a second one ends it at once. SIGHUP loads
the models again."""

EXAMPLE = """\
example:
  dragoman-serve runs/demo &
  curl http://127.0.0.1:8000/v1/translate --json '{"text": "Das Brot kostet 4,20 Euro."}'

Each flag has a variable, DRAGOMAN_HOST for --host, over which it wins. The limits, the API keys and
the rest have variables only: docs/serving.md lists all."""

FLAGS = ("models", "host", "port", "device", "precision", "threads", "shortlist")
"""The settings that have a flag."""


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command(NAME, lambda: _serve(argv))


def _serve(argv: list[str] | None) -> int:
    arguments = command_line().parse_args(argv)
    flags = {name: getattr(arguments, name) for name in FLAGS}
    settings = read_settings({name: flag for name, flag in flags.items() if flag is not None})
    configure_logging(form=settings.log_format, texts=settings.log_texts, level=settings.log_level)
    read = _models(arguments.runs, arguments.models, settings)
    APIKeys.from_settings(settings)  # a mistake in them is told before models take time to load
    with _listener(settings) as listener:
        loader = ModelLoader.from_settings(settings)
        registry = ModelRegistry(read, loader.load, settings.drain_s)
        app = create_app(registry, settings)
        ready = partial(print, f"{NAME}: {_url(listener)}", file=sys.stderr, flush=True)
        Server(app, registry, drain_s=settings.drain_s, ready=ready).run(sockets=[listener])
        if registry.reloading:  # its thread may be anywhere in torch: nothing waits for it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(OK)
    return OK


def command_line() -> argparse.ArgumentParser:
    """The flags; those that are not given are None."""
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "runs",
        metavar="RUN",
        type=Path,
        nargs="*",
        help="output directory of dragoman-train (its best checkpoint) or one of its checkpoints; "
        "a model is called as its directory is",
    )
    parser.add_argument(
        "--models",
        metavar="FILE",
        type=Path,
        help="YAML with names, paths, languages and defaults of the models, in the place of RUN",
    )
    add_machine_arguments(parser)
    parser.add_argument(
        "--precision",
        choices=["auto", *PRECISIONS],
        help="number format of matrix products (default: auto, the fastest here, measured when a "
        "model is first loaded on a machine)",
    )
    add_shortlist_argument(parser)
    parser.add_argument(
        "--host",
        help=f"address to listen on (default: {_default('host')}); 0.0.0.0 lets other machines in",
    )
    parser.add_argument(
        "--port",
        metavar="P",
        type=int,
        help=f"port to listen on (default: {_default('port')}); 0 is any free one",
    )
    parser.set_defaults(**dict.fromkeys(FLAGS))
    return parser


def _default(name: str) -> object:
    return Settings.model_fields[name].default


def _models(
    runs: Sequence[Path], flag: Path | None, settings: Settings
) -> Callable[[], Sequence[ModelEntry]]:
    """What to serve; a file is read anew by each call.

    Raises:
        ConfigError: neither runs nor a file, or both.
    """
    if runs and flag:
        raise ConfigError(f"RUN and --models {flag}: both. List the runs in the file, or drop it.")
    if runs:
        entries = entries_of_runs(runs)
        return lambda: entries
    if settings.models is None:
        raise ConfigError(
            f"no model: neither RUN nor --models FILE nor {PREFIX}MODELS. "
            f"Name a run, such as runs/demo. See {NAME} --help."
        )
    return partial(read_models_file, settings.models)


def _listener(settings: Settings) -> socket.socket:
    """A socket that holds the address, before the models take time to load.

    Raises:
        ConfigError: the address is taken, or not one of this machine.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:  # the latter: a host that no name can be
        if listener is not None:
            listener.close()
        reason = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: {reason}. Choose another."
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
