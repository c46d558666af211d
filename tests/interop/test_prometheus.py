"""Metrics go to a real Prometheus by remote-write, and its query API returns exactly what was sent."""

import shutil
import time
import unittest
import urllib.request

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from harness import Case, Process, free_port, get_json, wait_until

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  prometheusremotewrite:
    endpoint: ${env:PROMETHEUS}/api/v1/write
    external_labels: {site: lab}
service:
  pipelines:
    metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}
"""
PROGRAM = shutil.which("prometheus")
CUMULATIVE = 2
SECOND = 10**9


def post(agent, signal, request):
    headers = {"content-type": "application/x-protobuf"}
    body = request.SerializeToString()
    with urllib.request.urlopen(urllib.request.Request(f"{agent.http}/v1/{signal}", body, headers)) as answer:
        assert answer.status == 200


def set_attributes(message, **values):
    for key, value in values.items():
        message.attributes.add(key=key.replace("__", ".")).value.string_value = value


def metrics_at(now, step):
    """A request with one point of each kind; `step` moves the values on."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    set_attributes(resource.resource, service__name="shop", service__instance__id="i-1", host__name="h1")
    metrics = resource.scope_metrics.add().metrics

    def point_of(name, kind, unit=""):
        metric = metrics.add(name=name, unit=unit)
        data = getattr(metric, kind)
        if kind != "gauge":
            data.aggregation_temporality = CUMULATIVE
        point = data.data_points.add(time_unix_nano=now, start_time_unix_nano=now - 60 * SECOND)
        set_attributes(point, room="7")
        return data, point

    _, point = point_of("room.temperature", "gauge", "Cel")
    point.as_double = 21.5 + step
    data, point = point_of("orders", "sum", "1")
    data.is_monotonic = True
    point.as_int = 100 + step
    _, point = point_of("request.duration", "histogram", "s")
    point.explicit_bounds.extend([0.1, 1])
    point.bucket_counts.extend([3, 4, 2 + step])
    point.count, point.sum = 9 + step, 12.25
    exemplar = point.exemplars.add(time_unix_nano=now, as_double=0.5, trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    set_attributes_filtered(exemplar, user="u1")
    _, point = point_of("body.size", "exponential_histogram", "By")
    point.scale, point.count, point.sum, point.zero_count = 0, 6 + step, 40.0, 1 + step
    point.positive.offset = 1
    point.positive.bucket_counts.extend([2, 0, 3])
    return request


def set_attributes_filtered(exemplar, **values):
    for key, value in values.items():
        exemplar.filtered_attributes.add(key=key).value.string_value = value


@unittest.skipUnless(PROGRAM, "prometheus is not installed")
class Prometheus(Case):
    def setUp(self):
        super().setUp()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = f"{self.folder}/prometheus.yml"
        with open(config, "w") as file:
            file.write("global: {}\nstorage: {exemplars: {max_exemplars: 1000}}\n")
        arguments = [PROGRAM, f"--config.file={config}", f"--storage.tsdb.path={self.folder}/tsdb"]
        arguments += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
        arguments += ["--enable-feature=native-histograms,exemplar-storage"]
        self.prometheus = Process(arguments, self.folder, "prometheus")
        self.addCleanup(self.prometheus.kill)
        wait_until(self.is_ready, "Prometheus is ready", 30)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, query, at):
        """The result of an instant query: labels and the value, or the native histogram."""
        answer = get_json(f"{self.url}/api/v1/query", query=query, time=at / SECOND)
        return [
            (result["metric"], result["histogram"][1] if "histogram" in result else result["value"][1])
            for result in answer["data"]["result"]
        ]

    def test_values_are_returned(self):
        agent = self.agent(CONFIG, env={"PROMETHEUS": self.url})
        start = (time.time_ns() // SECOND - 10) * SECOND
        for step in range(5):
            post(agent, "metrics", metrics_at(start + step * SECOND, step))
        self.finish(agent)
        labels = {"job": "shop", "instance": "i-1", "site": "lab"}
        for step in range(5):
            at = start + step * SECOND
            expected = {
                "room_temperature_celsius": str(21.5 + step),
                "orders_total": str(100 + step),
                "request_duration_seconds_count": str(9 + step),
                "request_duration_seconds_sum": "12.25",
                'request_duration_seconds_bucket{le="0.1"}': "3",
                'request_duration_seconds_bucket{le="1"}': "7",
                'request_duration_seconds_bucket{le="+Inf"}': str(9 + step),
            }
            for query, value in expected.items():
                ((found, number),) = self.query(query, at)
                self.assertEqual((query, step, number), (query, step, value))
                self.assertEqual(labels | {"room": "7"}, {key: found[key] for key in (*labels, "room")})
            ((_, histogram),) = self.query("body_size_bytes", at)
            self.assertEqual((histogram["count"], histogram["sum"]), (str(6 + step), "40"))
            buckets = [bucket[1:] for bucket in histogram["buckets"]]
            self.assertIn(["2", "4", "2"], buckets)
            self.assertIn(["8", "16", "3"], buckets)
        ((found, number),) = self.query("target_info", start + 4 * SECOND)
        self.assertEqual((number, found["host_name"]), ("1", "h1"))
        found = get_json(
            f"{self.url}/api/v1/query_exemplars",
            query="request_duration_seconds_bucket",
            start=start / SECOND - 60,
            end=start / SECOND + 60,
        )
        exemplars = [exemplar for series in found["data"] for exemplar in series["exemplars"]]
        self.assertTrue(exemplars)
        self.assertEqual((exemplars[0]["value"], exemplars[0]["labels"]["trace_id"]), ("0.5", "ab" * 16))

    def test_default_pipeline_counts_logs(self):
        """Without a configuration the agent counts logs by service and severity into remote-write."""
        agent = self.agent(None, env={"CATCHMENT_REMOTE_WRITE_URL": f"{self.url}/api/v1/write"})
        wanted = {("shop", "ERROR"): 7, ("shop", "INFO"): 20, ("bank", "INFO"): 3}
        for _ in range(2):
            request = ExportLogsServiceRequest()
            for (service, severity), count in wanted.items():
                resource = request.resource_logs.add()
                set_attributes(resource.resource, service__name=service)
                records = resource.scope_logs.add().log_records
                for number in range(count):
                    record = records.add(time_unix_nano=time.time_ns(), severity_text=severity)
                    record.severity_number = 17 if severity == "ERROR" else 9
                    record.body.string_value = f"message {number}"
            post(agent, "logs", request)

        def counted():
            found = self.query('{__name__=~"log.*count.*"}', time.time_ns())
            return {(labels["service_name"], labels["severity_text"]): int(float(value)) for labels, value in found}

        doubled = {key: 2 * count for key, count in wanted.items()}
        try:
            wait_until(lambda: counted() == doubled, "all are counted", 30)
        except AssertionError:
            self.assertEqual(counted(), doubled, agent.log())
        self.assertEqual(agent.search("severity:error")["num_hits"], 14)
        self.finish(agent)
