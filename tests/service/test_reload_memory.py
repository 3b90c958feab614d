"""The memory of a server process that reloads its model again and again."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from model.checkpoint.run_directory import resolve
from tests.service.conftest import MakeRun, Serve, Server

FEW, MANY = 5, 60
MOST = 1.05


def resident_kb(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def settled_kb(server: Server) -> int:
    """What is resident once the model that was replaced has left: the least of a second."""
    found = []
    for _ in range(20):
        time.sleep(0.05)
        found.append(resident_kb(server))
    return min(found)


@pytest.mark.slow
@pytest.mark.parametrize(("damaged", "line"), [(False, "is served from"), (True, "not reloaded")])
def test_memory_does_not_grow_with_reloads(
    make_run: MakeRun, serve: Serve, tmp_path: Path, damaged: bool, line: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(make_run("reloaded"), run, symlinks=True)
    with serve(run) as server:
        if damaged:
            weights = resolve(run) / "weights.safetensors"
            weights.write_bytes(weights.read_bytes()[:-1])
        resident = {}
        for count in range(1, MANY + 1):
            server.process.send_signal(signal.SIGHUP)
            server.await_line(line)
            if count in (FEW, MANY):
                resident[count] = settled_kb(server)
    assert resident[MANY] <= MOST * resident[FEW], resident
