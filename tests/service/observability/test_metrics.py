"""Metrics: what is exported, how it is labelled, and that documents and dashboard agree with it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from service.observability.metrics import Metrics
from service.observability.request_record import outcome_of

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def exported_names() -> dict[str, list[str]]:
    """The names of every metric, each with those of its series. Without those of the process."""
    families = [each for each in Metrics().registry.collect() if "dragoman" in each.name]
    return {each.name: [each.name + end for end in SUFFIXES[each.type]] for each in families}


def test_the_page_documents_every_metric_and_no_other() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(dragoman_\w+)` \|", page, flags=re.MULTILINE)
    exported = {
        f"{name}_total" if series[0].endswith("_total") else name
        for name, series in exported_names().items()
    }
    assert set(documented) == exported
    assert len(documented) == len(exported)


def dashboard() -> dict[str, Any]:
    path = DEPLOY / "grafana" / "dashboards" / "dragoman.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def expressions() -> list[str]:
    panels = dashboard()["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_the_dashboard_shows_series_that_exist_and_all_of_them() -> None:
    process = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
    series = {name for names in exported_names().values() for name in names}
    shown = set(re.findall(r"\b(?:dragoman|process)_\w+", " ".join(expressions())))
    assert shown
    assert shown <= series | process
    unseen = {name for name, names in exported_names().items() if not shown & set(names)}
    assert unseen == set()


def test_the_dashboard_groups_by_labels_that_exist() -> None:
    labels = {"le", "route", "model", "outcome", "reason", "kind", "digest", "version", "instance"}
    for expression in expressions():
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert {name.strip() for name in group.split(",")} <= labels


def test_grafana_is_provisioned_with_the_data_source_that_the_dashboard_uses() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    used = {panel["datasource"]["uid"] for panel in dashboard()["panels"] if "targets" in panel}
    assert used == {source["uid"]}
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dragoman.yml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    (scrape,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert scrape["metrics_path"] == "/metrics"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (400, "refused"),
        (401, "refused"),
        (403, "refused"),
        (404, "refused"),
        (405, "refused"),
        (413, "refused"),
        (415, "refused"),
        (422, "refused"),
        (429, "overloaded"),
        (499, "client_gone"),
        (500, "failed"),
        (503, "unavailable"),
        (504, "deadline"),
        (0, "failed"),  # no answer at all
    ],
)
def test_every_status_has_an_outcome(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


def test_both_formats_can_be_parsed() -> None:
    metrics = Metrics()
    metrics.engine("a").step_seconds.observe(0.004)
    metrics.reloads.labels("a", "failed").inc()
    plain, plain_type = metrics.render("text/plain")
    assert plain_type.startswith("text/plain")
    families = {family.name: family for family in prometheus(plain.decode())}
    assert families.keys() >= exported_names().keys()
    (reload,) = families["dragoman_reloads"].samples
    assert (reload.labels, reload.value) == ({"model": "a", "outcome": "failed"}, 1)
    assert not [name for name in families if name.endswith("_created")]
    modern, modern_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert modern_type.startswith("application/openmetrics-text")
    found = openmetrics(modern.decode())  # type: ignore[no-untyped-call]
    assert {family.name for family in found} >= exported_names().keys()


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_a_version_that_is_no_number_gets_the_plain_format(kind: str) -> None:
    metrics = Metrics()
    assert metrics.render(f"{kind};version=x")[1] == metrics.render("")[1]


def test_two_applications_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.engine("a").sentences.inc()
    assert b'dragoman_sentences_total{model="a"} 1.0' in one.render("")[0]
    assert b'dragoman_sentences_total{model="a"}' not in other.render("")[0]


def test_an_engine_that_is_loaded_again_adds_to_the_same_sums() -> None:
    metrics = Metrics()
    old, new, other = metrics.engine("a"), metrics.engine("a"), metrics.engine("b")
    old.source_pieces.inc(5)
    new.source_pieces.inc(2)
    other.source_pieces.inc(100)
    new.failures["memory"].inc()
    value = metrics.registry.get_sample_value
    assert value("dragoman_source_pieces_total", {"model": "a"}) == 7
    assert value("dragoman_source_pieces_total", {"model": "b"}) == 100
    failures = {
        kind: value("dragoman_engine_failures_total", {"model": "a", "kind": kind})
        for kind in ("step", "memory", "probe")
    }
    assert failures == {"step": 0, "memory": 1, "probe": 0}  # those that never were show, too
