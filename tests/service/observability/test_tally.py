"""Tally: the sums of engines, against sums by hand and by NumPy."""

import threading

import numpy as np
from prometheus_client.core import Metric

from service.observability.tally import STEP_BOUNDS, Engines, Tally


def collected(engines: Engines) -> dict[str, Metric]:
    return {metric.name: metric for metric in engines.collect()}


def value(metric: Metric, **labels: str) -> float:
    (sample,) = [each for each in metric.samples if each.labels == labels]
    return sample.value


def test_sums_are_those_of_all_engines_of_a_model() -> None:
    engines = Engines()
    old, new, other = engines.observer("a"), engines.observer("a"), engines.observer("b")
    old.finished(5, 7)
    new.finished(2, 1)
    new.finished(1, 1)
    other.finished(100, 200)
    new.step(0.1, rows=12)
    metrics = collected(engines)
    assert value(metrics["dragoman_sentences"], model="a") == 3
    assert value(metrics["dragoman_source_pieces"], model="a") == 8
    assert value(metrics["dragoman_target_pieces"], model="a") == 9
    assert value(metrics["dragoman_target_pieces"], model="b") == 200
    assert value(metrics["dragoman_step_rows"], model="a") == 12


def test_histograms_are_those_of_numpy() -> None:
    seconds = [*np.random.default_rng(1).exponential(0.01, 500).tolist(), *STEP_BOUNDS, 7.0]
    engines = Engines()
    for half in (seconds[::2], seconds[1::2]):
        tally = engines.observer("a")
        for each in half:
            tally.step(each, rows=1)
    samples = collected(engines)["dragoman_step_seconds"].samples
    buckets = {
        float(each.labels["le"]): each.value for each in samples if each.name.endswith("_bucket")
    }
    expected = {bound: np.sum(np.array(seconds) <= bound) for bound in (*STEP_BOUNDS, np.inf)}
    assert buckets == expected
    others = {each.name: each.value for each in samples if not each.name.endswith("_bucket")}
    assert others["dragoman_step_seconds_count"] == len(seconds)
    assert np.isclose(others["dragoman_step_seconds_sum"], sum(seconds))


def test_failures_are_counted_by_kind() -> None:
    engines = Engines()
    tally = engines.observer("a")
    for kind in ("step", "step", "memory"):
        tally.failed(kind)
    failures = collected(engines)["dragoman_engine_failures"]
    found = {each.labels["kind"]: each.value for each in failures.samples}
    assert found == {"step": 2, "memory": 1, "probe": 0}


def test_reading_disturbs_no_engine_at_work() -> None:
    engines = Engines()
    tallies = [engines.observer("a") for _ in range(2)]

    def work(tally: Tally) -> None:
        for _ in range(20_000):
            tally.step(0.002, rows=3)

    threads = [threading.Thread(target=work, args=[tally]) for tally in tallies]
    for thread in threads:
        thread.start()
    before = 0.0
    while any(thread.is_alive() for thread in threads):
        rows = value(collected(engines)["dragoman_step_rows"], model="a")
        assert rows >= before
        before = rows
    for thread in threads:
        thread.join()
    assert value(collected(engines)["dragoman_step_rows"], model="a") == 120_000
