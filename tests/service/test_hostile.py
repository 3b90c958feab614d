"""A server under attack goes on serving: each attack of the benchmark, for a few seconds."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.attacks import ATTACKS
from tests.patience import PATIENCE_S
from tests.service.conftest import Serve

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 3


def translate(host: str) -> int:
    """The status that a client with a connection of its own gets for a short sentence."""
    connection = http.client.HTTPConnection(host, timeout=PATIENCE_S)
    try:
        body = json.dumps({"text": "der Hund läuft."})
        connection.request("POST", "/v1/translate", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.1"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_short_requests_are_answered_beside_an_attack(
    tiny_checkpoint: Path, serve: Serve, attack: str, source: str
) -> None:
    with serve(tiny_checkpoint, DRAGOMAN_LOG_LEVEL="warning") as server:
        url = urlsplit(server.url)
        told = (attack, str(url.port), source, str(SECONDS))
        command = [sys.executable, "-m", "benchmarks.attacks", *told]
        with subprocess.Popen(command, cwd=ROOT) as process:
            statuses = []
            while process.poll() is None:
                statuses.append(translate(url.netloc))
                time.sleep(0.1)
            assert process.returncode == 0
        assert set(statuses) == {200}
        assert translate(url.netloc) == 200
