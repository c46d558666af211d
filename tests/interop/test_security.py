"""TLS, client certificates and credentials, between the SDK's exporters, the agent, and a second agent."""

import http.client
import ssl
import subprocess
import urllib.error
import urllib.request

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from harness import Case
from test_attacks import one_log

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: ${env:GRPC_ADDRESS}
        tls: {cert_file: "${env:CERTS}/server.pem", key_file: "${env:CERTS}/server.key", client_ca_file: "${env:CERTS}/ca.pem"}
      http:
        endpoint: ${env:HTTP_ADDRESS}
        tls: {cert_file: "${env:CERTS}/server.pem", key_file: "${env:CERTS}/server.key"}
        auth: {authenticator: bearertokenauth}
extensions:
  bearertokenauth: {token: "${env:TOKEN}"}
exporters:
  otlp: {endpoint: "${env:SERVER_GRPC}", tls: {insecure: true}}
service:
  extensions: [bearertokenauth]
  pipelines:
    logs: {receivers: [otlp], exporters: [otlp]}
"""
# Sends to the one above, over gRPC with a certificate and over HTTP with a token.
SENDER = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
extensions:
  bearertokenauth: {token: "${env:TOKEN}"}
exporters:
  otlp:
    endpoint: ${env:NEXT_GRPC}
    tls: {ca_file: "${env:CERTS}/ca.pem", cert_file: "${env:CERTS}/client.pem", key_file: "${env:CERTS}/client.key", server_name_override: localhost}
  otlphttp:
    endpoint: ${env:NEXT_HTTP}
    tls: {ca_file: "${env:CERTS}/ca.pem"}
    auth: {authenticator: bearertokenauth}
service:
  extensions: [bearertokenauth]
  pipelines:
    logs: {receivers: [otlp], exporters: [otlp, otlphttp]}
"""
TOKEN = "open sesame"


def make_certificates(folder):
    """An authority, and certificates that it signed for a server and for a client."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    for name, extension in (("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"), ("client", "subjectAltName=DNS:client")):
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={name}", "-addext", extension]
        sign += ["-addext", "basicConstraints=critical,CA:FALSE"]
        openssl("req", "-x509", *new, *sign, "-keyout", f"{name}.key", "-out", f"{name}.pem")


class Security(Case):
    def setUp(self):
        super().setUp()
        make_certificates(self.folder)
        self.server = self.otlp_server()
        self.env = {**self.server.env, "CERTS": self.folder, "TOKEN": TOKEN}
        self.target = self.agent(CONFIG, env=self.env)

    def read(self, name):
        with open(f"{self.folder}/{name}", "rb") as file:
            return file.read()

    def call(self, credentials):
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(self.target.grpc, credentials, options) as channel:
            return LogsServiceStub(channel).Export(one_log(), timeout=10)

    def post(self, token=None):
        """The status of a POST over TLS."""
        headers = {"content-type": "application/x-protobuf"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        url = self.target.http.replace("http:", "https:")
        context = ssl.create_default_context(cafile=f"{self.folder}/ca.pem")
        request = urllib.request.Request(f"{url}/v1/logs", one_log().SerializeToString(), headers)
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def test_client_certificates(self):
        authority = self.read("ca.pem")
        self.call(grpc.ssl_channel_credentials(authority, self.read("client.key"), self.read("client.pem")))
        self.server.wait_for("logs", 1)
        with self.assertRaises(grpc.RpcError):
            self.call(grpc.ssl_channel_credentials(authority))
        with self.assertRaises((OSError, http.client.HTTPException)):
            connection = http.client.HTTPConnection("127.0.0.1", self.target.ports["HTTP"], timeout=10)
            connection.request("POST", "/v1/logs", b"")
            connection.getresponse()
        self.finish(self.target)

    def test_tokens(self):
        self.assertEqual(self.post(), 401)
        self.assertIn(self.post("wrong"), (401, 403))
        self.assertEqual(self.post(TOKEN), 200)
        self.server.wait_for("logs", 1)
        self.finish(self.target)

    def test_agent_to_agent(self):
        url = self.target.http.replace("http:", "https:")
        env = {**self.env, "NEXT_GRPC": self.target.grpc, "NEXT_HTTP": url}
        sender = self.agent(SENDER, name="sender", env=env)
        headers = {"content-type": "application/x-protobuf"}
        request = urllib.request.Request(f"{sender.http}/v1/logs", one_log().SerializeToString(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 200)
        self.server.wait_for("logs", 2)
        self.finish(sender)
        self.finish(self.target)


