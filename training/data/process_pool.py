"""Process pool: results in the order of the items, few of them in memory at a time."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import connection
from typing import Any, TypeVar

from model.cli.start import ctrl_c_kept_from_children

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Items per process that are queued, or finished out of order."""

_state: Any = None  # of a process that works for another one


def ordered_map(
    function: Callable[[State, Item], Result],
    items: Iterable[Item],
    *,
    make: Callable[[], State],
    processes: int,
) -> Iterator[Result]:
    """`function(state, item)` of each item, where each process makes its own state once.

    Both functions must be importable by name, or partials of such. With one process the work is
    done in this one. Whatever ends this process ends the others too;
    Ctrl-C alone does not reach them.
    """
    if processes == 1:
        yield from map(partial(function, make()), items)
        return
    # Forking a process that has threads (torch's) can lock it up.
    context = multiprocessing.get_context("spawn")
    pending: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(processes, context, _begin, (make,)) as pool:
        try:
            for item in items:
                with ctrl_c_kept_from_children():  # the first one starts them
                    pending.append(pool.submit(_work, function, item))
                if len(pending) > AHEAD * processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(make: Callable[[], object]) -> None:
    global _state
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def end_with_parent() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    _state = make()


def _work(function: Callable[[Any, Item], Result], item: Item) -> Result:
    return function(_state, item)
