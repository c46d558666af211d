"""A server that takes remote-write 1.0 in, keeps every request, and answers what it is told to."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
# Names, numbers and types of prometheus/prompb, as far as they are looked at.
MESSAGES = {
    "Label": [("name", 1, FIELD.TYPE_STRING), ("value", 2, FIELD.TYPE_STRING)],
    "Sample": [("value", 1, FIELD.TYPE_DOUBLE), ("timestamp", 2, FIELD.TYPE_INT64)],
    "TimeSeries": [("labels", 1, "Label"), ("samples", 2, "Sample")],
    "MetricMetadata": [
        ("type", 1, FIELD.TYPE_INT32),
        ("metric_family_name", 2, FIELD.TYPE_STRING),
        ("help", 4, FIELD.TYPE_STRING),
        ("unit", 5, FIELD.TYPE_STRING),
    ],
    "WriteRequest": [("timeseries", 1, "TimeSeries"), ("metadata", 3, "MetricMetadata")],
}


def write_request():
    """The class of the message WriteRequest."""
    file = descriptor_pb2.FileDescriptorProto(name="remote_write.proto", package="test", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = FIELD.LABEL_REPEATED if isinstance(kind, str) else FIELD.LABEL_OPTIONAL
            field = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = FIELD.TYPE_MESSAGE, f".test.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.WriteRequest"))


WriteRequest = write_request()


def inflate(block):
    """What a snappy block, whose first bytes are its length as a varint, holds."""
    size = shift = 0
    for byte in block:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return pyarrow.decompress(block, decompressed_size=size, codec="snappy", asbytes=True)


def labels_of(series):
    return {label.name: label.value for label in series.labels}


class RemoteWriteServer:
    """Takes requests while `answer` says (status, text); None closes the connection without an answer.

    `answer` is a function of the request, called for each.
    """

    def __init__(self, answer=lambda request: (204, ""), port=0):
        self.answer = answer
        self.taken = []
        self.num_refused = 0
        self.headers = {}
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/api/v1/write"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def samples(self, name):
        """All samples of a metric that were taken, as (labels, time in ms, value), in the order of arrival."""
        with self.lock:
            series = [series for request in self.taken for series in request.timeseries]
        named = [(labels_of(one), one) for one in series]
        return [
            (labels, sample.timestamp, sample.value)
            for labels, one in named
            if labels["__name__"] == name
            for sample in one.samples
        ]

    def metadata(self):
        """Type, help and unit of each family, of the last request that told them."""
        with self.lock:
            told = [metadata for request in self.taken for metadata in request.metadata]
        return {one.metric_family_name: (one.type, one.help, one.unit) for one in told}

    def _handler(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = WriteRequest.FromString(inflate(self.rfile.read(int(self.headers["content-length"]))))
                answer = outer.answer(request)
                with outer.lock:
                    outer.headers = {name.lower(): value for name, value in self.headers.items()}
                    if answer and answer[0] < 300:
                        outer.taken.append(request)
                    else:
                        outer.num_refused += 1
                if answer is None:
                    self.close_connection = True
                    return
                status, text = answer
                try:
                    self.send_response(status)
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except BrokenPipeError:
                    # The client did not wait that long.
                    self.close_connection = True

            def log_message(self, *_arguments):
                pass

        return Handler
