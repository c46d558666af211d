"""An HTTP/2 client that sends what a gRPC library would not."""

import socket
import time

import h2.config
import h2.connection
import h2.events

LOGS_SERVICE = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class RawHttp2:
    """One connection; frames are sent as they are asked for."""

    def __init__(self, port, seconds=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.deadline = time.monotonic() + seconds
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.headers = {}
        self.ended = set()
        self.closed = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.close()

    def flush(self):
        try:
            self.socket.sendall(self.connection.data_to_send())
        except OSError:
            self.closed = True

    def open_stream(self, path=LOGS_SERVICE, **headers):
        """Sends the headers of a gRPC call and returns the stream's number."""
        stream = self.connection.get_next_available_stream_id()
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.connection.send_headers(stream, list(fields.items()))
        self.flush()
        return stream

    def send(self, stream, payload, end=True):
        """Sends data as far as the server's windows let it, until the server has answered."""
        while payload and stream not in self.ended and not self.closed:
            room = min(
                self.connection.local_flow_control_window(stream),
                self.connection.max_outbound_frame_size,
            )
            if room == 0:
                self.read()
                continue
            self.connection.send_data(stream, payload[:room])
            payload = payload[room:]
            self.flush()
        if end and stream not in self.ended and not self.closed:
            self.connection.end_stream(stream)
            self.flush()

    def reset(self, stream):
        self.connection.reset_stream(stream)
        self.flush()

    def read(self):
        """Reads what has arrived, waiting for something."""
        if time.monotonic() > self.deadline:
            raise TimeoutError("the server did not answer")
        try:
            received = self.socket.recv(1 << 16)
        except ConnectionError:
            received = b""
        if not received:
            self.closed = True
            return
        for event in self.connection.receive_data(received):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                self.headers.setdefault(event.stream_id, {}).update(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.closed = True
        self.flush()

    def answer(self, stream):
        """Waits for the end of a stream and returns its headers and trailers."""
        while stream not in self.ended and not self.closed:
            self.read()
        return self.headers.get(stream, {})

    def grpc_status(self, stream):
        """The gRPC status of a call, as a number."""
        answer = self.answer(stream)
        if "grpc-status" not in answer:
            raise AssertionError(f"no gRPC status but {answer}")
        return int(answer["grpc-status"])
