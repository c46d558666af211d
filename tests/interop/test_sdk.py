"""The OpenTelemetry SDK for Python sends through the agent to an OTLP server: nothing is lost or changed."""

import time

import grpc
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from harness import Case, any_value, as_multiset, attributes

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
      http: {endpoint: "${env:HTTP_ADDRESS}"}
processors:
  batch: {timeout: 100ms}
exporters:
  otlp: {endpoint: "${env:SERVER_GRPC}", tls: {insecure: true}, compression: "${env:OUT}"}
  otlphttp: {endpoint: "${env:SERVER_HTTP}", compression: "${env:OUT}"}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [batch], exporters: ["${env:EXPORTER}"]}
    traces: {receivers: [otlp], processors: [batch], exporters: ["${env:EXPORTER}"]}
    metrics: {receivers: [otlp], processors: [batch], exporters: ["${env:EXPORTER}"]}
"""
NUM_LOGS = 1000
NUM_SPANS = 600
RESOURCE = Resource.create({"service.name": "shop", "service.version": "1.2.3", "host.cpus": 2})


def grpc_exporters(address, compression):
    options = {"endpoint": address, "insecure": True, "compression": compression}
    return GrpcLogs(**options), GrpcSpans(**options), GrpcMetrics(**options)


def http_exporters(url, compression):
    return (
        HttpLogs(f"{url}/v1/logs", compression=compression),
        HttpSpans(f"{url}/v1/traces", compression=compression),
        HttpMetrics(f"{url}/v1/metrics", compression=compression),
    )


def send_logs(*exporters):
    """The same records to each of the exporters."""
    provider = LoggerProvider(resource=RESOURCE)
    for exporter in exporters:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("shop.orders", "1.0")
    levels = (SeverityNumber.DEBUG, SeverityNumber.INFO, SeverityNumber.WARN, SeverityNumber.ERROR)
    for number in range(NUM_LOGS):
        level = levels[number % 4]
        logger.emit(
            timestamp=time.time_ns(),
            severity_number=level,
            severity_text=level.name,
            body=f"order {number} of Zoë failed: {'x' * (number % 300)}",
            attributes={
                "order": number,
                "price": number / 8,
                "paid": number % 2 == 0,
                "täglich": "ü" * (number % 50),
                "items": {"sizes": [1, 2.5, "xl"], "raw": bytes([number % 256])},
            },
        )
    provider.shutdown()


def send_spans(*exporters):
    """The same spans to each of the exporters."""
    provider = TracerProvider(resource=RESOURCE)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("shop.checkout", "0.9", attributes={"team": "pay"})
    for number in range(NUM_SPANS // 2):
        with tracer.start_as_current_span("GET /orders", kind=SpanKind.SERVER) as outer:
            outer.set_attribute("ids", [number, number + 1])
            outer.set_attribute("names", ["a", "b", "ß"])
            link = Link(outer.get_span_context(), {"why": "test"})
            with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, links=[link]) as inner:
                inner.add_event("row", {"number": number, "ratio": number / 3})
                inner.set_status(Status(StatusCode.ERROR, "too slow"))
    provider.shutdown()


def send_metrics(exporter):
    """Metrics whose values `SdkCase.check_metrics` knows."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    views = [View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], resource=RESOURCE, views=views)
    meter = provider.get_meter("shop.meter", "2.0")
    orders = meter.create_counter("orders", unit="1", description="orders taken")
    stock = meter.create_up_down_counter("stock")
    temperature = meter.create_gauge("temperature", unit="Cel")
    latency = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1, 10])
    size = meter.create_histogram("size", unit="By")
    for number in range(100):
        orders.add(number, {"country": "DE" if number % 2 else "FR"})
        stock.add(-1)
        latency.record(number / 10)
        size.record(2**(number % 10))
    temperature.set(21.5, {"room": "cold store"})
    provider.shutdown()


class SdkCase(Case):
    def pass_through(self, exporters, exporter, compression, encoding):
        """Sends everything through an agent and beside it, and compares."""
        server = self.otlp_server()
        env = {**server.env, "EXPORTER": exporter, "OUT": compression}
        agent = self.agent(CONFIG, env=env)
        logs, spans, metrics = exporters(agent)
        direct = self.otlp_server()
        address = f"127.0.0.1:{direct.grpc_port}"
        direct_logs, direct_spans, _ = grpc_exporters(address, grpc.Compression.NoCompression)
        send_logs(logs, direct_logs)
        send_spans(spans, direct_spans)
        send_metrics(metrics)
        for name, count in (("logs", NUM_LOGS), ("traces", NUM_SPANS)):
            arrived = server.wait_for(name, count)
            self.assertEqual(as_multiset(arrived), as_multiset(direct.wait_for(name, count)))
        self.check_metrics(server.wait_for("metrics", 6))
        self.assertEqual(set(server.encodings), {encoding})
        ledger = self.finish(agent)
        for signal, count in (("logs", NUM_LOGS), ("traces", NUM_SPANS), ("metrics", 6)):
            self.assertEqual(ledger["pipelines"][signal]["received"], count)
            self.assertEqual(ledger["exporters"][f"{exporter} {signal}"]["delivered"], count)

    def check_metrics(self, records):
        points = {}
        for resource, scope, metric in records:
            self.assertEqual(attributes(resource)["service.name"], "shop")
            self.assertEqual((scope.name, scope.version), ("shop.meter", "2.0"))
            point = getattr(metric, metric.WhichOneof("data")).data_points[0]
            key = (metric.name, *sorted(any_value(pair.value) for pair in point.attributes))
            points[key] = (metric, point)
        self.assertEqual(points["orders", "DE"][1].as_int, 2500)
        self.assertEqual(points["orders", "FR"][1].as_int, 2450)
        metric, point = points["stock",]
        self.assertEqual((metric.sum.is_monotonic, point.as_int), (False, -100))
        self.assertEqual(points["temperature", "cold store"][1].as_double, 21.5)
        metric, point = points["latency",]
        self.assertEqual((metric.unit, list(point.bucket_counts)), ("s", [2, 9, 89, 0]))
        metric, point = points["size",]
        self.assertEqual((metric.WhichOneof("data"), point.count), ("exponential_histogram", 100))
        self.assertEqual((point.sum, sum(point.positive.bucket_counts)), (10 * 1023, 100))


class Grpc(SdkCase):
    def test_plain(self):
        plain = grpc.Compression.NoCompression
        exporters = lambda agent: grpc_exporters(agent.grpc, plain)
        self.pass_through(exporters, "otlp", "none", "gRPC")

    def test_gzip(self):
        exporters = lambda agent: grpc_exporters(agent.grpc, grpc.Compression.Gzip)
        self.pass_through(exporters, "otlp", "gzip", "gRPC")


class Http(SdkCase):
    def test_plain(self):
        exporters = lambda agent: http_exporters(agent.http, Compression.NoCompression)
        self.pass_through(exporters, "otlphttp", "none", "identity")

    def test_gzip(self):
        exporters = lambda agent: http_exporters(agent.http, Compression.Gzip)
        self.pass_through(exporters, "otlphttp", "gzip", "gzip")

    def test_deflate(self):
        exporters = lambda agent: http_exporters(agent.http, Compression.Deflate)
        self.pass_through(exporters, "otlphttp", "gzip", "gzip")
