"""Rendezvous: tells the workers that torchrun has just started from those of earlier attempts.

torchrun restarts all workers when one dies, but torch (2.13) lets them meet in the key-value store
of the first attempt, where they find the addresses of the dead and wait for them for ever. So the
first process of each attempt chooses a new name, under which the others meet it.
"""

import os
import time
from datetime import timedelta
from uuid import uuid4

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed import DistStoreError

LEADER = "dragoman/leader"
ANSWERED_WITHIN = timedelta(seconds=1)  # a live leader answers; otherwise another one is sought


def connect(timeout: timedelta) -> TCPStore:
    """Connect to the store of torchrun's agent, at the address in the environment."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=timeout)


def attempt_store(store: Store, rank: int, size: int) -> PrefixStore:
    """Return the part of `store` for these `size` processes, each of which must call this.

    The leader writes its name; each follower greets it under that name, and knows by the answer
    that this leader is alive.
    """
    return PrefixStore(_lead(store, size) if rank == 0 else _follow(store, rank), store)


def _lead(store: Store, size: int) -> str:
    name = uuid4().hex
    store.set(LEADER, name)
    for rank in range(1, size):
        hello = store.get(f"{name}/hello/{rank}")  # waits for it
        store.set(f"{name}/welcome/{rank}", hello.decode())
    return name


def _follow(store: Store, rank: int) -> str:
    me = uuid4().hex
    while True:
        name = store.get(LEADER).decode()
        store.set(f"{name}/hello/{rank}", me)
        welcome = f"{name}/welcome/{rank}"
        try:
            store.wait([welcome], ANSWERED_WITHIN)
        except DistStoreError:
            continue
        if store.get(welcome).decode() == me:
            return name
        time.sleep(ANSWERED_WITHIN.total_seconds() / 10)  # one of the dead welcomed one of the dead
