"""Start: the first moments of a process, before the imports that take seconds.

Nothing but the standard library is imported here.
"""

import importlib
import io
import os
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NoReturn


def start(module: str, *, ignored: Collection[signal.Signals] = ()) -> NoReturn:
    """Import the command `module`, run its `main`, and end the process with the status of that.

    Ctrl-C ends the process at once while modules are imported and while the interpreter shuts down:
    only `main` has anything to clean up.

    Args:
        ignored: signals that are ignored until `main` handles them.
    """
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    # A shell ignores Ctrl-C for a job in the background, and so must we.
    takes_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if takes_ctrl_c:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    open_closed_streams()
    command = importlib.import_module(module)
    try:
        if takes_ctrl_c:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = command.main()
    except KeyboardInterrupt:  # before `main` could handle it, or after
        status = 128 + signal.SIGINT
    finally:
        if takes_ctrl_c:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(status)


@contextmanager
def ctrl_c_kept_from_children() -> Iterator[None]:
    """Block Ctrl-C while the block starts processes, which inherit that.

    A terminal sends it to them too, and Python would print a traceback of whatever they import.
    This process gets a Ctrl-C of the meantime when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def open_closed_streams() -> None:
    """Open the standard streams that are closed, so that no file gets their descriptors.

    As with gnulib's stdopen, what is read from standard input or written to standard output fails
    as it does with a closed descriptor. Messages to standard error go nowhere.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            assert opened == descriptor, "the lowest free descriptor is taken"
            os.set_inheritable(opened, True)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, "utf-8", "backslashreplace"))
