"""Tracing: exports a span for each request, with child spans for its phases, over OTLP.

It needs the extra `tracing` and an endpoint. Spans are made from the record of a finished request,
so nothing else in the service deals with traces. OpenTelemetry is not imported without an endpoint.
Its own environment variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...) apply.
"""

import logging
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from service.observability.request_record import QUIET, Phase, RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

SPANS = (
    ("queue", Phase.SUBMITTED, Phase.JOINED),
    ("encode+decode", Phase.JOINED, Phase.DECODED),
    ("assemble", Phase.DECODED, Phase.ASSEMBLED),
)
"""Child spans of a request: name, first and last phase."""

log = logging.getLogger(__name__)


def tracing_of(endpoint: str | None) -> "Tracing | None":
    """Return tracing to `endpoint`, such as http://127.0.0.1:4318/v1/traces; None without one."""
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        log.warning(
            "there is an endpoint for traces, but OpenTelemetry is missing, so there are none: "
            "install it with pip install 'dragoman[tracing]'"
        )
        return None
    return Tracing(OTLPSpanExporter(endpoint=endpoint))


class Tracing:
    """Passes spans to an exporter, which sends them from a thread of its own."""

    def __init__(self, exporter: "SpanExporter") -> None:
        from opentelemetry.propagate import get_global_textmap
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # Attributes from the environment, such as OTEL_SERVICE_NAME, take precedence.
        resource = Resource.create().merge(Resource({"service.version": version("dragoman")}))
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "dragoman"}))
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("dragoman")
        self._propagator = get_global_textmap()

    def export(self, record: RequestRecord, headers: Mapping[str, str]) -> None:
        """Export the span of a finished request, as a child of the one in `headers`, if any."""
        if record.route in QUIET:
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        epoch = time.time() - time.monotonic()
        ended = record.started + record.seconds
        attributes: dict[str, str | int] = {
            "http.request.method": record.method,
            "http.route": record.route,
            "http.response.status_code": record.status,
            "dragoman.request": record.id,
            "dragoman.model": record.model,
            "dragoman.key": record.key,
            "dragoman.source_pieces": record.source_pieces,
            "dragoman.target_pieces": record.target_pieces,
        }
        request = self._tracer.start_span(
            f"{record.method} {record.route}",
            context=self._propagator.extract(dict(headers)),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=_nanoseconds(epoch + record.started),
        )
        inside = set_span_in_context(request)
        for name, begin, end in SPANS:
            if record.between(begin, end) is not None:
                child = self._tracer.start_span(
                    name,
                    context=inside,
                    start_time=_nanoseconds(epoch + record.phases[begin]),
                )
                child.end(_nanoseconds(epoch + record.phases[end]))
        if record.status >= 500:
            request.set_status(Status(StatusCode.ERROR, record.reason))
        request.end(_nanoseconds(epoch + ended))

    def close(self) -> None:
        """Send the remaining spans, and block until the exporter has."""
        self._provider.shutdown()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
