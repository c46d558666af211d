"""Requests made to do harm: each is refused with the right status, takes bounded memory, and harms no other."""

import http.client
import os
import random
import resource
import socket
import struct
import time
import urllib.error
import urllib.request
import zlib

import pyarrow
from google.rpc import status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from harness import Case, proc_status, wait_until
from raw_http2 import RawHttp2

# The account of all memory; beside it stand the program and what the allocator keeps.
LIMIT_MIB = 256
OVERHEAD_MIB = 64
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
      http: {endpoint: "${env:HTTP_ADDRESS}", read_header_timeout: 1s, read_timeout: 2s}
processors:
  memory_limiter: {check_interval: 100ms, limit_mib: 256, spike_limit_mib: 64}
exporters:
  otlp: {endpoint: "${env:SERVER_GRPC}", tls: {insecure: true}}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}
    traces: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}
"""
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8
IDLE_CONNECTIONS = int(os.environ.get("IDLE_CONNECTIONS", "2000"))
GIB = 1 << 30

# For the clients here, and for the agent, which inherits it.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def one_log(body="fine"):
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.string_value = body
    return request


def gzip_of_zeros(size):
    """A gzip stream of `size` zero bytes, made without having them."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join([compressor.compress(block) for _ in range(size >> 20)] + [compressor.flush()])


def frame(payload, compressed=False, length=None):
    """A gRPC message, with another length than it has if so asked."""
    return struct.pack(">?I", compressed, len(payload) if length is None else length) + payload


def varint(number):
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def nested(levels):
    """An array in an array in an array …, as the body of a log record."""
    value = b""
    for _ in range(levels):
        for tag in (b"\x0a", b"\x2a"):  # ArrayValue.values = 1 in AnyValue.array_value = 5
            value = tag + varint(len(value)) + value
    record = b"\x2a" + varint(len(value)) + value
    for tag in (b"\x12", b"\x12", b"\x0a"):
        record = tag + varint(len(record)) + record
    return record


class Attacks(Case):
    def setUp(self):
        super().setUp()
        self.server = self.otlp_server()
        self.target = self.agent(CONFIG, env=self.server.env)

    def tearDown(self):
        """The next requests work, memory stayed bounded, the accounts balance."""
        self.assertEqual(self.post(one_log("next").SerializeToString())[0], 200)
        self.assertEqual(self.call(frame(one_log("next").SerializeToString())), 0)
        bodies = lambda: [record.body.string_value for _, _, record in self.server.records("logs")]
        wait_until(lambda: bodies().count("next") == 2, "the next records arrived")
        peak = proc_status(self.target.pid, "VmHWM") / 1024
        print(f"(peak {peak:.0f} MiB)", end=" ", flush=True)
        self.assertLess(peak, LIMIT_MIB + OVERHEAD_MIB, "peak of resident memory in MiB")
        self.finish(self.target)

    def post(self, body, path="/v1/logs", content_type="application/x-protobuf", **headers):
        """The status and body of the answer to a POST."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields["content-type"] = content_type
        request = urllib.request.Request(f"{self.target.http}{path}", body, fields)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def call(self, data, **headers):
        """The status of a gRPC call whose data is this."""
        with RawHttp2(self.target.ports["GRPC"]) as client:
            stream = client.open_stream(**headers)
            client.send(stream, data)
            return client.grpc_status(stream)

    def refused(self, request, path="/v1/logs"):
        """Both protocols refuse a request as invalid, and say why."""
        status, body = self.post(request, path)
        self.assertEqual(status, 400, body)
        message = status_pb2.Status.FromString(body).message
        self.assertTrue(message)
        if path == "/v1/logs":
            self.assertEqual(self.call(frame(request)), INVALID_ARGUMENT)
        return message

    def test_gzip_bomb_over_http(self):
        status, body = self.post(gzip_of_zeros(GIB), content_encoding="gzip")
        self.assertEqual(status, 413, body)
        self.assertTrue(status_pb2.Status.FromString(body).message)

    def test_gzip_bomb_over_grpc(self):
        bomb = frame(gzip_of_zeros(GIB), compressed=True)
        self.assertEqual(self.call(bomb, grpc_encoding="gzip"), RESOURCE_EXHAUSTED)

    def test_zstd_bomb(self):
        bomb = pyarrow.compress(bytes(GIB), codec="zstd", asbytes=True)
        self.assertEqual(self.post(bomb, content_encoding="zstd")[0], 413)
        call = self.call(frame(bomb, compressed=True), grpc_encoding="zstd")
        self.assertEqual(call, RESOURCE_EXHAUSTED)

    def test_length_prefix_of_two_gib(self):
        call = self.call(frame(b"\0" * 100, length=1 << 31))
        self.assertEqual(call, RESOURCE_EXHAUSTED)

    def test_content_length_of_two_gib(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.target.ports["HTTP"], timeout=10)
        connection.putrequest("POST", "/v1/logs")
        connection.putheader("content-type", "application/x-protobuf")
        connection.putheader("content-length", str(1 << 31))
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 413)
        connection.close()

    def test_field_of_two_gib(self):
        self.refused(b"\x0a" + varint((1 << 31) - 1) + b"\x12\x00")

    def test_trace_id_of_five_bytes(self):
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        span.trace_id, span.span_id, span.name = b"\x01" * 5, b"\x02" * 8, "short"
        message = self.refused(request.SerializeToString(), "/v1/traces")
        self.assertIn("trace_id", message)

    def test_deeply_nested_value(self):
        self.refused(nested(10_000))

    def test_deeply_nested_json(self):
        body = b'{"resourceLogs":' + b"[" * 100_000
        self.assertEqual(self.post(body, content_type="application/json")[0], 400)

    def test_random_bytes(self):
        generator = random.Random(1)
        for length in (1, 10, 1000, 100_000):
            self.refused(b"\xff" + generator.randbytes(length))
        for port in (self.target.ports["GRPC"], self.target.ports["HTTP"]):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(generator.randbytes(10_000))
                try:
                    while client.recv(1 << 16):
                        pass
                except ConnectionError:
                    pass

    def test_text_that_is_not_utf8(self):
        text = one_log("caf??").SerializeToString().replace(b"??", b"\xe9!")
        self.assertEqual(self.post(text)[0], 200)
        arrived = self.server.wait_for("logs", 1)
        self.assertEqual(arrived[0][2].body.string_value, "caf\ufffd!")

    def test_hundred_thousand_attributes(self):
        request = one_log("good")
        record = request.resource_logs[0].scope_logs[0].log_records.add()
        value = AnyValue(int_value=1)
        for number in range(100_000):
            record.attributes.add(key=f"key {number}", value=value)
        status, body = self.post(request.SerializeToString())
        self.assertEqual(status, 200)
        success = ExportLogsServiceResponse.FromString(body).partial_success
        self.assertEqual(success.rejected_log_records, 1)
        self.assertTrue(success.error_message)
        arrived = self.server.wait_for("logs", 1)
        self.assertEqual(arrived[0][2].body.string_value, "good")

    def test_bodies_that_never_end(self):
        """Together they would take 1 GiB of memory that clients have not paid for with a whole request."""
        address = ("127.0.0.1", self.target.ports["HTTP"])
        head = b"POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 62914560\r\n\r\n"
        clients = [socket.create_connection(address, timeout=0.3) for _ in range(20)]
        for client in clients:
            self.send_what_is_taken(client, head + bytes(50 << 20))
        for client in clients:
            client.close()

    def test_messages_that_never_end(self):
        """The same over gRPC, with windows opened by the server."""
        clients = [RawHttp2(self.target.ports["GRPC"]) for _ in range(20)]
        for client in clients:
            client.socket.settimeout(0.3)
            try:
                client.send(client.open_stream(), frame(bytes(50 << 20), length=60 << 20), end=False)
            except TimeoutError:
                pass
        for client in clients:
            client.socket.close()
        time.sleep(0.5)

    @staticmethod
    def send_what_is_taken(client, payload):
        try:
            client.sendall(payload)
        except (TimeoutError, ConnectionError):
            pass

    def test_slow_loris(self):
        """Clients that send a byte now and then are let go; others are served meanwhile."""
        beginnings = (b"POST /v1/logs HTTP/1.1\r\nhost: a\r\nx: ", b"POST /v1/logs HTTP/1.1\r\nhost: a\r\n"
                      b"content-type: application/x-protobuf\r\ncontent-length: 1000\r\n\r\n")
        for beginning in beginnings:
            address = ("127.0.0.1", self.target.ports["HTTP"])
            clients = [socket.create_connection(address, timeout=10) for _ in range(200)]
            for client in clients:
                client.sendall(beginning)
            deadline = time.monotonic() + 10
            while clients and time.monotonic() < deadline:
                self.assertEqual(self.post(b"")[0], 200)
                time.sleep(0.25)
                clients = [client for client in clients if not self.is_closed(client)]
            self.assertFalse(clients, "connections that were not let go")

    @staticmethod
    def is_closed(client):
        """Sends one more byte, and tells whether the server has ended the connection."""
        client.setblocking(False)
        try:
            client.send(b"x")
            while client.recv(4096):
                pass
            client.close()
            return True
        except BlockingIOError:
            return False
        except ConnectionError:
            client.close()
            return True

    def test_idle_connections(self):
        before = self.target.rss_mib()
        clients = []
        try:
            for number in range(IDLE_CONNECTIONS):
                port = self.target.ports["GRPC" if number % 2 else "HTTP"]
                clients.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            self.assertEqual(self.post(b"")[0], 200)
            self.assertEqual(self.call(frame(b"")), 0)
            grown = self.target.rss_mib() - before
            self.assertLess(grown, 16 + IDLE_CONNECTIONS * 16 / 1024, "MiB that connections take")
        finally:
            for client in clients:
                client.close()

    def test_streams_opened_and_reset(self):
        """A client that does so without end may lose its connection; nobody else notices."""
        with RawHttp2(self.target.ports["GRPC"]) as client:
            for number in range(10_000):
                if client.closed:
                    break
                client.reset(client.open_stream())
                if number % 50 == 0:
                    self.read_what_is_there(client)

    @staticmethod
    def read_what_is_there(client):
        client.socket.settimeout(0.01)
        try:
            client.read()
        except TimeoutError:
            pass

    def test_headers_of_a_mebibyte(self):
        status = None
        try:
            status = self.post(b"", x_large="x" * (1 << 20))[0]
        except (urllib.error.URLError, ConnectionError):
            pass
        self.assertIn(status, (None, 431))
