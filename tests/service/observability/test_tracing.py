"""Tracing: the spans of a request, as OpenTelemetry's exporter in memory gets them."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service.observability.request_record import Phase, RequestRecord
from service.observability.tracing import Tracing, tracing_of
from tests.patience import PATIENCE_S

TEXT = "Blaubeerpfannkuchen"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def record_at(started: float = 100.0) -> RequestRecord:
    record = RequestRecord(id="abc", method="POST", started=started, ended=started + 9, status=200)
    record.route, record.model, record.key, record.texts = "/v1/translate", "m", "alice", [TEXT]
    for phase, after in zip(Phase, (1, 3, 7, 8), strict=True):
        record.reached(phase, started + after)
    return record


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    tracing = Tracing(exporter)
    yield tracing
    tracing.close()


def sent(
    tracing: Tracing, exporter: InMemorySpanExporter, record: RequestRecord, headers: dict[str, str]
) -> dict[str, ReadableSpan]:
    tracing.export(record, headers)
    tracing.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_request_is_a_span_with_its_phases_below(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    spans = sent(tracing, exporter, record_at(), {"traceparent": CALLER})
    request = spans.pop("POST /v1/translate")
    assert request.kind == SpanKind.SERVER
    assert request.parent is not None
    assert f"{request.parent.trace_id:032x}-{request.parent.span_id:016x}" == CALLER[3:-3]
    assert seconds(request) == pytest.approx(9)
    assert {name: round(seconds(span), 3) for name, span in spans.items()} == {
        "queue": 2,
        "encode+decode": 4,
        "assemble": 1,
    }
    for span in spans.values():
        assert span.parent is not None
        assert span.parent.span_id == request.context.span_id
    assert request.resource.attributes["service.name"] == "dragoman"
    for span in (request, *spans.values()):
        assert TEXT not in span.to_json()


def test_the_times_are_those_of_the_clock_on_the_wall(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    now = time.time()
    record = record_at(time.monotonic() - 9)
    end = sent(tracing, exporter, record, {})["POST /v1/translate"].end_time
    assert end is not None
    assert end / 1e9 == pytest.approx(now, abs=60)


def test_a_request_without_phases_or_caller_is_a_span_of_its_own(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    record = RequestRecord(id="abc", method="POST", status=500, reason="internal")
    ((name, span),) = sent(tracing, exporter, record, {"traceparent": "nonsense"}).items()
    assert (name, span.parent, span.status.status_code) == ("POST other", None, StatusCode.ERROR)


def test_machines_that_ask_for_health_are_not_traced(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    assert not sent(tracing, exporter, RequestRecord(id="1", method="GET", route="/livez"), {})


@pytest.mark.parametrize("endpoint", [None, ""])
def test_without_an_endpoint_there_is_none_and_nothing_is_imported(endpoint: str | None) -> None:
    """But for the interface of OpenTelemetry, which FastAPI imports where it is installed."""
    assert tracing_of(endpoint) is None
    script = (
        "import sys, service.api.middleware, service.observability.tracing\n"
        f"assert service.observability.tracing.tracing_of({endpoint!r}) is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE_S)


def test_without_the_package_there_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert tracing_of("http://127.0.0.1:4318/v1/traces") is None
    (record,) = caplog.records
    assert "pip install 'dragoman[tracing]'" in record.getMessage()
