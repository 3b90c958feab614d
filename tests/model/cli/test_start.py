"""Start: what a process does before the imports of its command; see test_hostile_processes.py."""

import subprocess
import sys

import pytest

from tests.patience import PATIENCE_S

COMMAND = """
import sys
def main():
    {body}
    return 3
sys.modules["command"] = sys.modules["__main__"]
from model.cli.start import start
start("command")
"""


def run(body: str, redirection: str = "", before: str = "") -> tuple[int, str, str]:
    """Run a command that consists of `body`, by a shell."""
    program = COMMAND.format(body=body)
    done = subprocess.run(
        ["bash", "-c", f'{before} exec "$@" {redirection}', "-", sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_status_is_that_of_main() -> None:
    assert run("print('x')") == (3, "x\n", "")


def test_a_failure_of_ours_keeps_its_traceback() -> None:
    status, _, messages = run("1 / 0")
    assert status == 1
    assert "ZeroDivisionError" in messages


KILL = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


def test_ctrl_c_in_main_is_130_without_a_traceback() -> None:
    assert run(KILL) == (130, "", "")


def test_ctrl_c_after_main_ends_the_process() -> None:
    assert run(f"import atexit; atexit.register(lambda: exec({KILL!r}))") == (-2, "", "")


def test_ctrl_c_stays_ignored_in_the_background() -> None:
    """A shell script ignores it for a job that it starts with &."""
    assert run(KILL, before='trap "" INT;') == (3, "", "")


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_descriptor_of_a_closed_stream(closing: str) -> None:
    status, _, _ = run("assert open('/dev/null').fileno() > 2", closing)
    assert status == 3


def test_messages_do_not_go_to_standard_output() -> None:
    """`print(file=None)` would write there."""
    assert run("print('x', file=sys.stderr)", "2>&-") == (3, "", "")


@pytest.mark.parametrize(
    ("body", "closing"),
    [("sys.stdin.read()", "<&-"), ("print('x', flush=True)", ">&-")],
)
def test_the_use_of_a_closed_stream_fails(body: str, closing: str) -> None:
    status, _, messages = run(body, closing)
    assert status in (1, 120)  # 120 if flushing at the end fails too
    assert "Bad file descriptor" in messages
