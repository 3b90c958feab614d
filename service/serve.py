"""dragoman-serve: models behind HTTP."""

if __name__ == "__main__":  # before the imports, which take seconds
    from service import commands

    commands.serve()

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from model.checkpoint.pretrained import or_in_box
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
from service.observability.stderr_writer import StderrWriter, threaded_stderr
from service.registry.listed_models import listed_models
from service.registry.model_loader import ModelLoader
from service.registry.model_registry import ModelRegistry
from service.server import Server
from service.settings import ANY_HOST, Settings, read_settings

NAME = "dragoman-serve"

DESCRIPTION = """\
Translate over HTTP with trained models. Requests join those in flight and leave when they are
done; none changes the answer of another.

  GET  /livez          whether it runs; /readyz whether it accepts requests
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
"""Settings that have a flag."""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    with threaded_stderr() as stderr:
        return run_command(NAME, lambda: _serve(argv, stderr))


def _serve(argv: list[str] | None, stderr: StderrWriter) -> int:
    arguments = command_line().parse_args(argv)
    flags = {name: getattr(arguments, name) for name in FLAGS}
    settings = read_settings({name: flag for name, flag in flags.items() if flag is not None})
    configure_logging(form=settings.log_format, texts=settings.log_texts, level=settings.log_level)
    read = listed_models(arguments.runs, arguments.models, settings)
    keys = APIKeys.from_settings(settings)  # report mistakes in them before the models load
    with _listener(settings) as listener:
        loader = ModelLoader.from_settings(settings)
        registry = ModelRegistry(read, loader.load, settings.drain_s)
        stderr.count_dropped(registry.metrics.log_lines_dropped.inc)
        hosts = _hosts(settings, listener, keys_needed=keys.needed)
        app = create_app(registry, settings, hosts)
        ready = partial(print, f"{NAME}: {_url(listener)}", file=sys.stderr, flush=True)
        Server(app, registry, settings, ready=ready).run(sockets=[listener])
        if registry.reloading:  # its thread may be inside torch, so do not wait for it
            stderr.end()
            os._exit(OK)
    return OK


def command_line() -> argparse.ArgumentParser:
    """Build the parser; flags that are not given are None."""
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "runs",
        metavar="RUN",
        type=Path,
        nargs="*",
        help="output directory of dragoman-train (its best checkpoint), one of its checkpoints "
        f"or a pack{or_in_box()}. A model is named after its directory or file",
    )
    parser.add_argument(
        "--models",
        metavar="FILE",
        type=Path,
        help="YAML with names, paths, languages and defaults of the models, instead of RUN",
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


def _listener(settings: Settings) -> socket.socket:
    """Bind a socket to the address, before the models load.

    Raises:
        ConfigError: the address is in use or not an address of this machine.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: an invalid host name
        if listener is not None:
            listener.close()
        reason = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: {reason}. Choose another."
        ) from error
    return listener


def _hosts(
    settings: Settings, listener: socket.socket, *, keys_needed: bool
) -> Sequence[str] | None:
    """Names by which requests may call the server; None: any.

    By default these matter only where every program of this machine is served, but nobody else.
    """
    if settings.allowed_hosts:
        return None if ANY_HOST in settings.allowed_hosts else settings.allowed_hosts
    address = listener.getsockname()[0]
    if keys_needed or not ipaddress.ip_address(address).is_loopback:
        return None
    return tuple(f"[{name}]" if ":" in name else name for name in (settings.host, address))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
