"""What the tests share: running agents on free ports, a server that takes OTLP in, and waiting."""

import gzip
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

CATCHMENT = os.environ.get("CATCHMENT_BIN", "catchment")
DATA = pathlib.Path(os.environ.get("CATCHMENT_TEST_DATA", "/nonexistent"))
SIGNALS = ("logs", "traces", "metrics")

# The agent's own metrics go to a port of its own; the Collector reads this just as well.
OWN_METRICS = """
service:
  telemetry:
    metrics:
      level: normal
      readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: "${env:METRICS_PORT}"}}}}]
"""


def free_port():
    """A port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, seconds=20):
    """Waits until `condition` returns something true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(0.05)


def is_open(port):
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def get(url, **parameters):
    """The text that a GET answers."""
    if parameters:
        url += "?" + urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(url, timeout=35) as answer:
        return answer.read().decode()


def get_json(url, **parameters):
    return json.loads(get(url, **parameters))


def proc_status(pid, field):
    """A field of /proc/PID/status in KiB, such as VmRSS."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


class Process:
    """A program with a log, ended with SIGTERM."""

    def __init__(self, arguments, folder, name, env=None):
        self.name = name
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_ports(self, *ports):
        def all_open():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}")
            return all(is_open(port) for port in ports)

        try:
            wait_until(all_open, f"{self.name} listens on {ports}", 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def stop(self, seconds=45):
        """Ends it with SIGTERM and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} runs {seconds} s after SIGTERM:\n{self.log()}") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Agent(Process):
    """An agent that runs a configuration, on ports that it finds in its environment.

    `GRPC_ADDRESS` and `HTTP_ADDRESS` are for the OTLP receiver, `API_ADDRESS` for the search
    interface, `DATA_DIR` is a folder of its own. Without a configuration the default pipeline runs.
    """

    def __init__(self, config, folder, env=None, name="catchment", arguments=None, prefix=()):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(parents=True)
        self.data = self.folder / "data"
        names = ("GRPC", "HTTP", "API", "METRICS")
        self.ports = {key: free_port() for key in names}
        own = {f"{key}_ADDRESS": f"127.0.0.1:{port}" for key, port in self.ports.items()}
        own |= {"METRICS_PORT": str(self.ports["METRICS"]), "DATA_DIR": str(self.data)}
        if config is None:
            own["CATCHMENT_DATA_DIR"] = str(self.data)
            settings = self.default_settings()
        else:
            settings = self.files(config=config, own_metrics=OWN_METRICS)
        arguments = arguments or [CATCHMENT, "run"]
        self.arguments, self.env, self.starts = [*prefix, *arguments, *settings], {**own, **(env or {})}, 0
        self.used = ["METRICS", *(key for key in names if config is None or f"${{env:{key}_ADDRESS}}" in config)]
        super().__init__(self.arguments, self.folder, name, self.env)
        self.wait_for_ports(*(self.ports[key] for key in self.used))

    def start_again(self):
        """The same once more, when it has ended; its log begins anew."""
        self.starts += 1
        super().__init__(self.arguments, self.folder, f"catchment-{self.starts}", self.env)
        self.wait_for_ports(*(self.ports[key] for key in self.used))

    def own_metric(self, name):
        """A metric of its own that has no labels."""
        lines = get(f"{self.own}/metrics").splitlines()
        values = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
        return float(values[0]) if values else None

    def files(self, **texts):
        """Writes configurations to files, and returns the arguments that name them."""
        arguments = []
        for name, text in texts.items():
            path = self.folder / f"{name}.yaml"
            path.write_text(text)
            arguments += ["--config", path]
        return arguments

    def default_settings(self):
        """Arguments that move the default pipeline to the ports of this agent."""
        keys = {
            "receivers.otlp.protocols.grpc.endpoint": "GRPC",
            "receivers.otlp.protocols.http.endpoint": "HTTP",
            "service.api.endpoint": "API",
            "service.telemetry.metrics.address": "METRICS",
        }
        return [word for key, port in keys.items() for word in ("--set", f"{key}=127.0.0.1:{self.ports[port]}")]

    @property
    def grpc(self):
        return f"127.0.0.1:{self.ports['GRPC']}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.ports['HTTP']}"

    @property
    def api(self):
        return f"http://127.0.0.1:{self.ports['API']}"

    @property
    def own(self):
        return f"http://127.0.0.1:{self.ports['METRICS']}"

    def ledger(self):
        return get_json(f"{self.own}/debug/ledger")

    def rss_mib(self):
        return proc_status(self.pid, "VmRSS") / 1024

    def anonymous_mib(self):
        """Resident memory that is not that of files, which the system takes back when it needs it."""
        return proc_status(self.pid, "RssAnon") / 1024

    def search(self, query, **parameters):
        return get_json(f"{self.api}/api/v1/logs/search", query=query, **parameters)

    def wait_until_idle(self, seconds=20):
        """Waits until nothing is in flight but what sinks hold until they commit, and returns the ledger."""

        def idle():
            ledger = self.ledger()
            accounts = [*ledger["pipelines"].items(), *ledger["exporters"].items()]
            moving = [name for name, account in accounts if account["in_flight"]]
            return ledger if all(name.startswith(("parquet", "logindex")) for name in moving) else None

        return wait_until(idle, f"nothing is in flight: {self.ledger()}", seconds)


class OtlpServer:
    """Takes OTLP in over gRPC and HTTP and keeps every request."""

    def __init__(self):
        self.requests = {name: [] for name in SIGNALS}
        self.encodings = Counter()
        self.lock = threading.Lock()
        self.grpc_server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", 64 << 20)]
        )
        for name, (message, answer, base, add) in SERVICES.items():
            add(self._servicer(name, answer, base), self.grpc_server)
        self.grpc_port = self.grpc_server.add_insecure_port("127.0.0.1:0")
        self.grpc_server.start()
        self.http_server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http_port = self.http_server.server_address[1]
        threading.Thread(target=self.http_server.serve_forever, daemon=True).start()

    @property
    def env(self):
        return {
            "SERVER_GRPC": f"127.0.0.1:{self.grpc_port}",
            "SERVER_HTTP": f"http://127.0.0.1:{self.http_port}",
        }

    def stop(self):
        self.grpc_server.stop(0)
        self.http_server.shutdown()
        self.http_server.server_close()

    def records(self, name):
        """All records of a signal, each as (resource, scope, record)."""
        with self.lock:
            return [record for request in self.requests[name] for record in flatten(name, request)]

    def wait_for(self, name, count, seconds=20):
        """Waits for `count` records of a signal and returns them; more are an error."""
        wait_until(lambda: len(self.records(name)) >= count, f"{count} {name} arrived", seconds)
        records = self.records(name)
        if len(records) != count:
            raise AssertionError(f"{count} {name} wanted, {len(records)} arrived")
        return records

    def _servicer(self, name, answer, base):
        outer = self

        def export(_self, request, _context):
            outer._keep(name, request, "gRPC")  # the library does not tell how it was compressed
            return answer()

        return type("Servicer", (base,), {"Export": export})()

    def _keep(self, name, request, encoding):
        with self.lock:
            self.requests[name].append(request)
            self.encodings[encoding] += 1

    def _handler(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                encoding = self.headers.get("content-encoding", "identity")
                if encoding == "gzip":
                    body = gzip.decompress(body)
                name = self.path.rpartition("/")[2]
                message, answer, _, _ = SERVICES[name]
                outer._keep(name, message.FromString(body), encoding)
                payload = answer().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_arguments):
                pass

        return Handler


SERVICES = {
    "logs": (
        logs_service_pb2.ExportLogsServiceRequest,
        logs_service_pb2.ExportLogsServiceResponse,
        logs_service_pb2_grpc.LogsServiceServicer,
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server,
    ),
    "traces": (
        trace_service_pb2.ExportTraceServiceRequest,
        trace_service_pb2.ExportTraceServiceResponse,
        trace_service_pb2_grpc.TraceServiceServicer,
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
    ),
    "metrics": (
        metrics_service_pb2.ExportMetricsServiceRequest,
        metrics_service_pb2.ExportMetricsServiceResponse,
        metrics_service_pb2_grpc.MetricsServiceServicer,
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
    ),
}


def flatten(name, request):
    """The records of a request as (resource, scope, record), for metrics one for each data point."""
    fields = {
        "logs": ("resource_logs", "scope_logs", "log_records"),
        "traces": ("resource_spans", "scope_spans", "spans"),
        "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    }
    resources, scopes, records = fields[name]
    for resource in getattr(request, resources):
        for scope in getattr(resource, scopes):
            for record in getattr(scope, records):
                parts = one_by_one(record) if name == "metrics" else [record]
                for part in parts:
                    yield resource.resource, scope.scope, part


def one_by_one(metric):
    """The metric once for each of its data points, with that point alone."""
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind else ():
        single = type(metric)()
        single.CopyFrom(metric)
        del getattr(single, kind).data_points[:]
        getattr(single, kind).data_points.append(point)
        yield single


def as_multiset(records):
    """Records as values that can be counted and compared, whatever their order."""
    return Counter(tuple(part.SerializeToString(deterministic=True) for part in record) for record in records)


def attributes(message):
    """The attributes of a message as a dictionary."""
    return {pair.key: any_value(pair.value) for pair in message.attributes}


def any_value(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: any_value(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


class Case(unittest.TestCase):
    """A test with a folder, agents and servers that end with it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="catchment-interop-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def agent(self, config, **options):
        agent = Agent(config, self.folder, **options)
        self.addCleanup(agent.kill)
        return agent

    def otlp_server(self):
        server = OtlpServer()
        self.addCleanup(server.stop)
        return server

    def finish(self, agent):
        """Stops the agent; its ledger must have balanced before, and it must end well."""
        ledger = agent.wait_until_idle()
        self.assertTrue(ledger["balanced"], ledger)
        self.assertEqual(agent.stop(), 0, agent.log())
        self.assertNotIn("panicked", agent.log())
        return ledger


def needs_data(test):
    """Skips a test where the data sets are not there."""
    return unittest.skipUnless(DATA.is_dir(), "CATCHMENT_TEST_DATA does not name a folder")(test)
