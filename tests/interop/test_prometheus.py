"""Metrics go to a real Prometheus by remote-write, and its query API returns exactly what was sent."""

import shutil
import time
import unittest
import urllib.request

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from harness import Case, Process, free_port, get_json, wait_until
from remote_write import RemoteWriteServer

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
DELTA, CUMULATIVE = 1, 2
NO_RECORDED_VALUE = 1
# prometheus.MetricMetadata.MetricType
COUNTER, GAUGE, HISTOGRAM, SUMMARY = 1, 2, 3, 5
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
    point.scale, point.count, point.sum, point.zero_count = 0, 8 + step, 40.0, 1 + step
    point.positive.offset = 1
    point.positive.bucket_counts.extend([2, 0, 3])
    point.negative.bucket_counts.extend([2])
    data, point = point_of("connections", "sum", "{connection}")
    point.as_int = -3 + step
    summary = metrics.add(name="job.time", unit="ms").summary
    point = summary.data_points.add(time_unix_nano=now, start_time_unix_nano=now - 60 * SECOND)
    set_attributes(point, room="7")
    point.count, point.sum = 30 + step, 4.5
    for quantile, value in ((0.5, 0.125), (0.99, 2.0 + step)):
        point.quantile_values.add(quantile=quantile, value=value)
    return request


def delta_request(names, kind="sum", value=5):
    """A request with a delta point for each name."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    set_attributes(resource.resource, service__name="shop")
    metrics = resource.scope_metrics.add().metrics
    now = time.time_ns()
    for name in names:
        data = getattr(metrics.add(name=name), kind)
        data.aggregation_temporality = DELTA
        point = data.data_points.add(time_unix_nano=now, start_time_unix_nano=now - SECOND)
        if kind == "sum":
            data.is_monotonic = True
            point.as_int = value
        else:
            point.explicit_bounds.extend([1, 10])
            point.bucket_counts.extend([1, value, 2])
            point.count, point.sum = 3 + value, 7.5
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
                "connections": str(-3 + step),
                'job_time_milliseconds{quantile="0.5"}': "0.125",
                'job_time_milliseconds{quantile="0.99"}': str(2 + step),
                "job_time_milliseconds_sum": "4.5",
                "job_time_milliseconds_count": str(30 + step),
                'request_duration_seconds_bucket{le="0.1"}': "3",
                'request_duration_seconds_bucket{le="1"}': "7",
                'request_duration_seconds_bucket{le="+Inf"}': str(9 + step),
            }
            for query, value in expected.items():
                ((found, number),) = self.query(query, at)
                self.assertEqual((query, step, number), (query, step, value))
                self.assertEqual(labels | {"room": "7"}, {key: found[key] for key in (*labels, "room")})
            ((_, histogram),) = self.query("body_size_bytes", at)
            self.assertEqual((histogram["count"], histogram["sum"]), (str(8 + step), "40"))
            buckets = [bucket[1:] for bucket in histogram["buckets"]]
            self.assertIn(["2", "4", "2"], buckets)
            self.assertIn(["8", "16", "3"], buckets)
            self.assertIn(["-2", "-1", "2"], buckets)
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

    def test_late_points_do_not_make_an_older_target_info(self):
        """A point may be older than those of other series; Prometheus refuses what is out of order in one."""
        agent = self.agent(CONFIG, env={"PROMETHEUS": self.url})
        start = (time.time_ns() // SECOND - 100) * SECOND
        ages = [0, 40, 30, 80, 20, 10, 90]
        for number, age in enumerate(ages):
            request = ExportMetricsServiceRequest()
            resource = request.resource_metrics.add()
            set_attributes(resource.resource, service__name="late", host__name="h1")
            metric = resource.scope_metrics.add().metrics.add(name=f"late{number}")
            metric.gauge.data_points.add(time_unix_nano=start - age * SECOND, as_int=number)
            post(agent, "metrics", request)
        ledger = self.finish(agent)
        for number, age in enumerate(ages):
            ((_, value),) = self.query(f"late{number}", start - age * SECOND)
            self.assertEqual(value, str(number))
        account = ledger["exporters"]["prometheusremotewrite metrics"]
        self.assertEqual((account["received"], account["delivered"]), (len(ages), len(ages)), ledger)
        self.assertNotIn("refused", agent.log())

    def test_a_series_ends_where_there_is_no_value(self):
        agent = self.agent(CONFIG, env={"PROMETHEUS": self.url})
        start = (time.time_ns() // SECOND - 10) * SECOND
        post(agent, "metrics", metrics_at(start, 0))
        ended = metrics_at(start + SECOND, 0)
        for metric in ended.resource_metrics[0].scope_metrics[0].metrics:
            getattr(metric, metric.WhichOneof("data")).data_points[0].flags = NO_RECORDED_VALUE
        post(agent, "metrics", ended)
        self.finish(agent)
        everything = '{job="shop",__name__!="target_info"}'
        self.assertEqual(len(self.query(everything, start)), 13)
        self.assertEqual(self.query(everything, start + SECOND), [])

    def test_delta_points_become_cumulative_series(self):
        config = CONFIG.replace("exporters: [prom", "processors: [deltatocumulative], exporters: [prom")
        agent = self.agent("processors: {deltatocumulative: }\n" + config, env={"PROMETHEUS": self.url})
        for _ in range(3):
            post(agent, "metrics", delta_request(["orders"]))
            post(agent, "metrics", delta_request(["size"], "histogram", 4))
        self.finish(agent)
        expected = {"orders_total": "15", "size_count": "21", "size_sum": "22.5", 'size_bucket{le="10"}': "15"}
        for query, value in expected.items():
            ((_, number),) = self.query(query, time.time_ns())
            self.assertEqual((query, number), (query, value))

    def test_a_sample_that_prometheus_refuses_costs_only_itself(self):
        """Prometheus answers 400 for a request with a sample far from the present."""
        agent = self.agent(CONFIG, env={"PROMETHEUS": self.url})
        now = (time.time_ns() // SECOND) * SECOND
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        set_attributes(resource.resource, service__name="shop")
        metrics = resource.scope_metrics.add().metrics
        for number in range(50):
            far = 30 * 24 * 3600 * SECOND if number == 17 else 0
            metrics.add(name=f"level{number}").gauge.data_points.add(time_unix_nano=now - far, as_int=number)
        post(agent, "metrics", request)
        first = metrics_at(now, 0)
        post(agent, "metrics", first)
        ledger = self.finish(agent)
        found = {labels["__name__"]: value for labels, value in self.query('{__name__=~"level.*"}', now)}
        self.assertEqual(found, {f"level{number}": str(number) for number in range(50) if number != 17})
        account = ledger["exporters"]["prometheusremotewrite metrics"]
        self.assertEqual((account["received"], account["delivered"]), (56, 55), ledger)
        self.assertIn("level17{job=", agent.log())

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


class Requests(Case):
    """What Prometheus keeps for nobody to see, read from the requests themselves."""

    def setUp(self):
        super().setUp()
        self.server = RemoteWriteServer()
        self.addCleanup(self.server.stop)

    def test_metadata(self):
        config = CONFIG.replace("external_labels:", "send_metadata: true\n    external_labels:")
        config = config.replace("${env:PROMETHEUS}/api/v1/write", "${env:SERVER}")
        agent = self.agent(config, env={"SERVER": self.server.url})
        request = metrics_at(time.time_ns(), 0)
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            metric.description = f"about {metric.name}"
        post(agent, "metrics", request)
        self.finish(agent)
        expected = {
            "room_temperature_celsius": (GAUGE, "about room.temperature", "celsius"),
            "orders_total": (COUNTER, "about orders", ""),
            "request_duration_seconds": (HISTOGRAM, "about request.duration", "seconds"),
            "body_size_bytes": (HISTOGRAM, "about body.size", "bytes"),
            "connections": (GAUGE, "about connections", ""),
            "job_time_milliseconds": (SUMMARY, "about job.time", "milliseconds"),
        }
        found = self.server.metadata()
        self.assertEqual({name: found.get(name) for name in expected}, expected, found)

    def test_headers(self):
        agent = self.agent(CONFIG.replace("${env:PROMETHEUS}/api/v1/write", self.server.url))
        post(agent, "metrics", metrics_at(time.time_ns(), 0))
        self.finish(agent)
        expected = {
            "content-encoding": "snappy",
            "content-type": "application/x-protobuf",
            "x-prometheus-remote-write-version": "0.1.0",
        }
        self.assertEqual({name: self.server.headers[name] for name in expected}, expected)

    def test_delta_points_are_refused_with_advice(self):
        agent = self.agent(CONFIG.replace("${env:PROMETHEUS}/api/v1/write", self.server.url))
        request = delta_request(["orders", "visits"])
        request.resource_metrics[0].MergeFrom(metrics_at(time.time_ns(), 0).resource_metrics[0])
        post(agent, "metrics", request)
        ledger = self.finish(agent)
        account = ledger["exporters"]["prometheusremotewrite metrics"]
        self.assertEqual((account["received"], account["delivered"]), (8, 6), account)
        self.assertEqual(self.server.samples("visits_total"), [])
        self.assertEqual([value for _, _, value in self.server.samples("orders_total")], [100])
        self.assertIn("deltatocumulative", agent.log())
        self.assertIn("`orders`", agent.log())
