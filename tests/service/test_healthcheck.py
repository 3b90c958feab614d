"""Health check: asks the server itself, at its own port, whatever proxies the environment names."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from service.healthcheck import is_ready
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


class Server(Protocol):
    url: str


Serve = Callable[..., AbstractContextManager[Server]]


def status(**variables: str) -> int:
    """The exit status of the command with these variables and proxies that lead nowhere."""
    with socket.socket() as nowhere:
        nowhere.bind(("127.0.0.1", 0))  # and does not listen
        proxy = f"http://127.0.0.1:{nowhere.getsockname()[1]}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN")
        }
        environment |= dict.fromkeys(names, proxy) | {"no_proxy": "", "NO_PROXY": ""} | variables
        command = [sys.executable, "-m", "service.healthcheck"]
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=PATIENCE_S)
        return done.returncode


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_server_on_another_port_is_found_in_spite_of_proxies(
    tiny_checkpoint: Path, serve: Serve, address: str
) -> None:
    with serve(tiny_checkpoint, "--host", address) as server:
        port = server.url.rsplit(":", 1)[1]
        assert status(DRAGOMAN_HOST=address, DRAGOMAN_PORT=port) == 0
    assert status(DRAGOMAN_HOST=address, DRAGOMAN_PORT=port) == 1


def test_a_server_that_is_not_ready_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                head = connection.recv(65536)
                assert head.startswith(b"GET /readyz HTTP/1.1\r\n")
                connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        assert not is_ready({"DRAGOMAN_PORT": str(listener.getsockname()[1])})
        thread.join()
