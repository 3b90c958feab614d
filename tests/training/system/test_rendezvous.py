"""Workers of one attempt meet each other, and none of an earlier attempt."""

from concurrent.futures import ThreadPoolExecutor

from torch._C._distributed_c10d import HashStore, PrefixStore, Store

from training.system.rendezvous import attempt_store


def meet(store: Store, order: list[int]) -> list[PrefixStore]:
    """One attempt of three workers, started in this order; the last one is late."""
    with ThreadPoolExecutor(3) as pool:
        return [
            f.result(30) for f in [pool.submit(attempt_store, store, rank, 3) for rank in order]
        ]


def test_all_find_the_same_place_and_each_attempt_another() -> None:
    store = HashStore()
    places = [meet(store, order) for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2])]
    for number, workers in enumerate(places):
        workers[0].set("attempt", str(number))
    for number, workers in enumerate(places):
        assert [worker.get("attempt") for worker in workers] == [str(number).encode()] * 3
