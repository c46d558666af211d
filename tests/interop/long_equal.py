"""One Collector configuration, run by the Collector and by Catchment on the same input: the outputs are equal."""

import os
import pathlib
import random

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from harness import SERVICES, SIGNALS, Case, as_multiset, flatten

COLLECTOR = os.environ.get("COLLECTOR_BIN", "otelcol")
CONFIG = (pathlib.Path(__file__).parent / "equal.yaml").read_text()
NUM_REQUESTS, RECORDS_PER_REQUEST = 40, 100
START = 1_760_000_000_000_000_000
STUBS = {
    "logs": logs_service_pb2_grpc.LogsServiceStub,
    "traces": trace_service_pb2_grpc.TraceServiceStub,
    "metrics": metrics_service_pb2_grpc.MetricsServiceStub,
}


class Input:
    """Requests with every kind of value, the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def requests(self, signal):
        for _ in range(NUM_REQUESTS):
            request = SERVICES[signal][0]()
            for _ in range(4):
                self.fill_resource(signal, request)
            yield request

    def fill_resource(self, signal, request):
        fields = {"logs": ("logs", "log_records"), "traces": ("spans", "spans"), "metrics": ("metrics", "metrics")}
        suffix, records = fields[signal]
        resource = getattr(request, f"resource_{suffix}").add(schema_url=self.random.choice(["", "urn:r"]))
        for key, value in (("service.name", ["shop", "bank", "mail"]), ("host.id", ["h1", "h2"]), ("service.version", ["1"])):
            if self.random.random() < 0.9:
                self.set(resource.resource.attributes, key, self.random.choice(value))
        scope = getattr(resource, f"scope_{suffix}").add(schema_url=self.random.choice(["", "urn:s"]))
        scope.scope.name = self.random.choice(["", "lib"])
        for _ in range(RECORDS_PER_REQUEST // 4):
            getattr(self, f"fill_{signal}")(getattr(scope, records).add())

    def set(self, attributes, key, value):
        target = attributes.add(key=key).value
        if isinstance(value, bool):
            target.bool_value = value
        elif isinstance(value, int):
            target.int_value = value
        elif isinstance(value, float):
            target.double_value = value
        elif isinstance(value, bytes):
            target.bytes_value = value
        elif isinstance(value, list):
            target.array_value.SetInParent()
            for item in value:
                target.array_value.values.add().string_value = item
        elif value is None:
            target.SetInParent()
        else:
            target.string_value = value

    def fill_attributes(self, attributes):
        choices = {
            "http.status_code": [200, "404", "no number", 5.7, "1e3", True],
            "user.email": ["a@example.com", 12, 1.5, True, False, b"raw", ["x"], ""],
            "password": ["secret"],
            "internal.id": ["x", 1],
            "attempt": [1, "two"],
            "client.address": ["10.0.0.1", 7, 0.25, ["a", "b"]],
            "origin": ["before"],
            "environment": ["test", "prod-2"],
            "http.method": ["GET", "POST", ""],
            "http.url": ["https://example.com/a/b?c=d", "not a url", "ftp://host", 5],
            "empty": [None],
        }
        keys = self.random.sample(sorted(choices), self.random.randrange(len(choices)))
        for key in keys:
            self.set(attributes, key, self.random.choice(choices[key]))

    def fill_logs(self, record):
        record.time_unix_nano = START + self.random.randrange(10**12)
        record.observed_time_unix_nano = record.time_unix_nano + 5
        record.severity_number = self.random.randrange(25)
        record.severity_text = self.random.choice(["", "INFO", "Warn"])
        record.body.string_value = self.random.choice(["health ok", "order taken", "ünïcode", "x" * 500])
        if self.random.random() < 0.2:
            self.fill_attributes(record.body.kvlist_value.values)
        record.flags = self.random.choice([0, 1])
        if self.random.random() < 0.5:
            record.trace_id, record.span_id = self.random.randbytes(16), self.random.randbytes(8)
        self.fill_attributes(record.attributes)

    def fill_traces(self, span):
        span.trace_id, span.span_id = self.random.randbytes(16), self.random.randbytes(8)
        span.name = self.random.choice(["GET /health", "GET /health/live", "GET /orders", "SELECT"])
        span.kind = self.random.randrange(6)
        span.start_time_unix_nano = START + self.random.randrange(10**12)
        span.end_time_unix_nano = span.start_time_unix_nano + self.random.randrange(10**9)
        span.trace_state = self.random.choice(["", "vendor=1"])
        if self.random.random() < 0.3:
            event = span.events.add(name="exception", time_unix_nano=span.start_time_unix_nano)
            self.fill_attributes(event.attributes)
        if self.random.random() < 0.3:
            span.links.add(trace_id=self.random.randbytes(16), span_id=self.random.randbytes(8))
        if self.random.random() < 0.1:
            self.set(span.attributes, "sampling.priority", self.random.choice([0, 1]))
        span.status.code = self.random.randrange(3)
        self.fill_attributes(span.attributes)

    def fill_metrics(self, metric):
        metric.name = self.random.choice(["debug.queue", "orders", "latency", "size", "temperature"])
        metric.unit, metric.description = "1", "as it says"
        kind = self.random.choice(["gauge", "sum", "histogram", "exponential_histogram", "summary"])
        data = getattr(metric, kind)
        if kind in ("sum", "histogram", "exponential_histogram"):
            data.aggregation_temporality = self.random.choice([1, 2])
        for _ in range(self.random.randrange(1, 4)):
            point = data.data_points.add(time_unix_nano=START + self.random.randrange(10**12))
            self.fill_attributes(point.attributes)
            if kind in ("gauge", "sum"):
                point.as_double = self.random.random()
                continue
            point.count, point.sum = 10, 2.5
            if kind == "histogram":
                point.explicit_bounds.extend([1, 2])
                point.bucket_counts.extend([3, 3, 4])
            if kind == "exponential_histogram":
                point.scale, point.positive.offset = 2, -3
                point.positive.bucket_counts.extend([1, 2, 7])
                point.negative.SetInParent()  # the Collector always writes it
            if kind == "summary":
                point.quantile_values.add(quantile=0.5, value=1.25)


def with_sums_of_counts(records):
    """Records with the points of the count connector added up: neither their times nor in how many a sum comes matter."""
    sums = {}
    for resource, scope, metric in records:
        if not scope.name.endswith("/countconnector"):
            yield resource, scope, metric
            continue
        single = type(metric).FromString(metric.SerializeToString())
        point = single.sum.data_points[0]
        count = point.as_int
        point.time_unix_nano = point.start_time_unix_nano = point.as_int = 0
        record = with_sorted_attributes((resource, scope, single))
        key = tuple(part.SerializeToString(deterministic=True) for part in record)
        sums.setdefault(key, record)[2].sum.data_points[0].as_int += count
    yield from sums.values()


def with_sorted_attributes(record):
    """The record with all attributes in order of their keys: their order says nothing."""
    copies = tuple(type(part).FromString(part.SerializeToString()) for part in record)
    for copy in copies:
        sort_attributes(copy)
    return copies


def sort_attributes(message):
    for field, value in message.ListFields():
        if field.name == "attributes":
            pairs = sorted(value, key=lambda pair: pair.key)
            del value[:]
            value.extend(pairs)
        elif field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                sort_attributes(inner)


PASS_ON = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  otlp: {endpoint: "${env:NEXT_GRPC}", tls: {insecure: true}, compression: "${env:OUT}"}
  otlphttp: {endpoint: "${env:NEXT_HTTP}", compression: "${env:OUT}"}
service:
  pipelines:
    logs: {receivers: [otlp], exporters: ["${env:EXPORTER}"]}
    traces: {receivers: [otlp], exporters: ["${env:EXPORTER}"]}
    metrics: {receivers: [otlp], exporters: ["${env:EXPORTER}"]}
"""


def send(agent):
    """Sends the input, and returns it as it must arrive."""
    inputs, sent = Input(seed=7), {}
    with grpc.insecure_channel(agent.grpc) as channel:
        for signal in SIGNALS:
            requests = list(inputs.requests(signal))
            stub = STUBS[signal](channel)
            for request in requests:
                stub.Export(request, timeout=20)
            sent[signal] = as_multiset(record for request in requests for record in flatten(signal, request))
    return sent


class Chain(Case):
    """The Collector sends to Catchment, which sends to a Collector: what comes out is what went in."""

    def check(self, exporter, compression, number):
        server = self.otlp_server()
        env = {"EXPORTER": exporter, "OUT": compression}
        to_server = {"EXPORTER": "otlp", "OUT": "none", "NEXT_GRPC": server.env["SERVER_GRPC"], "NEXT_HTTP": "http://unused:1"}
        last = self.agent(PASS_ON, name=f"last-{number}", arguments=[COLLECTOR], env=to_server)
        ours = self.agent(PASS_ON, name=f"catchment-{number}", env=env | {"NEXT_GRPC": last.grpc, "NEXT_HTTP": last.http})
        first = self.agent(PASS_ON, name=f"first-{number}", arguments=[COLLECTOR], env=env | {"NEXT_GRPC": ours.grpc, "NEXT_HTTP": ours.http})
        sent = send(first)
        self.assertEqual(first.stop(), 0)
        self.finish(ours)
        self.assertEqual(last.stop(), 0)
        for signal in SIGNALS:
            self.assertEqual(as_multiset(server.records(signal)), sent[signal], (exporter, compression, signal))

    def test_grpc(self):
        for number, compression in enumerate(("none", "gzip", "snappy", "zstd")):
            self.check("otlp", compression, number)

    def test_http(self):
        for number, compression in enumerate(("none", "gzip", "snappy", "zstd", "deflate", "zlib")):
            self.check("otlphttp", compression, number)


class Equal(Case):
    def outputs(self, name, arguments):
        """What an agent makes of the input."""
        server = self.otlp_server()
        agent = self.agent(CONFIG, name=name, arguments=arguments, env=server.env)
        send(agent)
        if name == "catchment":
            self.finish(agent)
        else:
            agent.stop()
        return {
            signal: as_multiset(map(with_sorted_attributes, with_sums_of_counts(server.records(signal))))
            for signal in SIGNALS
        }

    def test_outputs_are_equal(self):
        wanted = self.outputs("collector", [COLLECTOR])
        found = self.outputs("catchment", None)
        for signal in SIGNALS:
            self.assertGreater(wanted[signal].total(), 500, signal)
            missing, extra = wanted[signal] - found[signal], found[signal] - wanted[signal]
            if missing or extra:
                self.fail(self.difference(signal, missing, extra))
            print(f"{signal}: {wanted[signal].total()} records, all equal")

    def difference(self, signal, missing, extra):
        """The first records of each side, as text."""
        request = SERVICES[signal][0]()
        text = [f"{signal}: {missing.total()} only from the Collector, {extra.total()} only from Catchment"]
        kinds = {"logs": ("resource_logs", "scope_logs", "log_records"),
                 "traces": ("resource_spans", "scope_spans", "spans"),
                 "metrics": ("resource_metrics", "scope_metrics", "metrics")}
        resources, scopes, records = kinds[signal]
        for title, side in (("the Collector", missing), ("Catchment", extra)):
            for encoded in sorted(side, key=lambda parts: parts[2])[:3]:
                resource = getattr(request, resources).add()
                scope = getattr(resource, scopes).add()
                record = getattr(scope, records).add()
                for part, data in zip((resource.resource, scope.scope, record), encoded):
                    part.ParseFromString(data)
                text.append(f"--- only from {title}:\n{resource}")
        return "\n".join(text)
