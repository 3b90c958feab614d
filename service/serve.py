"""dragoman-serve: a model behind HTTP."""

import argparse
import dataclasses
import logging
import os
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

from model.cli import (
    OK,
    add_model_arguments,
    add_shortlist_argument,
    command_parser,
    load_model,
    run_command,
)
from model.errors import ConfigError
from service.app import create_app
from service.catalogue import Catalogue, Served
from service.settings import Settings
from service.worker import Worker

NAME = "dragoman-serve"

DRAIN_S = 30
"""How long requests may take that are unanswered when the server is told to exit."""

DESCRIPTION = """\
Translate over HTTP with a trained model. Requests join those in flight and leave when they are
done; none changes the answer of another. SIGTERM and Ctrl-C end it after the requests in flight.

  GET  /livez          whether it runs
  POST /v1/translate   {"text": "..."} or {"text": ["...", "..."]}; also "options": {...}
  GET  /openapi.json   all of it, for programs"""

EXAMPLE = """\
example:
  dragoman-serve runs/demo &
  curl http://127.0.0.1:8000/v1/translate --json '{"text": "Das Brot kostet 4,20 Euro."}'

Each flag but RUN has a variable, DRAGOMAN_HOST for --host, and two limits have no flag:
DRAGOMAN_MAX_BODY_BYTES and DRAGOMAN_MAX_REQUESTS (accepted and not yet answered)."""


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command(NAME, lambda: _serve(argv))


def _serve(argv: list[str] | None) -> int:
    settings = Settings.from_environment(os.environ)
    arguments = command_line(settings).parse_args(argv)
    settings = dataclasses.replace(settings, host=arguments.host, port=arguments.port)
    with _listener(settings) as listener:
        app = _load(arguments, settings)
        listener.listen()
        print(f"{NAME}: {_url(listener)}", file=sys.stderr, flush=True)
        _run(app, listener)
    return OK


def command_line(settings: Settings) -> argparse.ArgumentParser:
    """The flags, with `settings` for those that are not given."""
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser)
    add_shortlist_argument(parser)
    parser.set_defaults(
        device=settings.device, precision=settings.precision, threads=settings.threads
    )
    parser.add_argument(
        "--host",
        default=settings.host,
        help="address to listen on (default: %(default)s); 0.0.0.0 lets other machines in",
    )
    parser.add_argument(
        "--port",
        metavar="P",
        type=int,
        default=settings.port,
        help="port to listen on (default: %(default)s); 0 is any free one",
    )
    return parser


def _listener(settings: Settings) -> socket.socket:
    """A socket that holds the address, before the model takes time to load.

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
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: {error.strerror}. Choose another."
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _load(arguments: argparse.Namespace, settings: Settings) -> FastAPI:
    model = load_model(NAME, arguments)
    worker = Worker(
        "model",
        model.checkpoint,
        device=model.device,
        dtype=model.dtype,
        shortlist=model.shortlist,
    )
    served = Served(worker.name, "translate", None, None, worker)
    return create_app(Catalogue([served]), settings)


def _run(app: FastAPI, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(format=f"{NAME}: %(levelname)s: %(message)s")
    # Once it has drained, uvicorn raises the signal again for whoever handled it before.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(OK))
    config = uvicorn.Config(app, lifespan="on", timeout_graceful_shutdown=DRAIN_S)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
