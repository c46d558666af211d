"""Logs of servers that run here, nginx and Prometheus: every sink has each line, and the counts agree."""

import pathlib
import shutil
import unittest
import urllib.error
import urllib.request

import duckdb

from harness import Case, Process, free_port, get, get_json, wait_until
from load import load

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
PROMETHEUS = shutil.which("prometheus")
CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
connectors:
  count: {logs: {lines: {attributes: [{key: service.name, default_value: unknown}]}}}
processors:
  deltatocumulative:
  batch:
exporters:
  parquet: {path: "${env:DATA_DIR}/archive"}
  logindex: {directory: "${env:DATA_DIR}/index"}
  prometheusremotewrite: {endpoint: "${env:PROMETHEUS}/api/v1/write"}
service:
  api: {endpoint: "${env:API_ADDRESS}"}
  pipelines:
    logs: {receivers: [otlp], processors: [batch], exporters: [parquet, logindex, count]}
    metrics: {receivers: [count], processors: [deltatocumulative], exporters: [prometheusremotewrite]}
"""
NGINX_CONFIG = """
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log info;
events {}
http {
  access_log FOLDER/access.log combined;
  client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  server { listen 127.0.0.1:PORT; root FOLDER; location = /teapot { return 418; } }
}
"""


@unittest.skipUnless(PROMETHEUS, "prometheus is not installed")
class Servers(Case):
    def setUp(self):
        super().setUp()
        self.here = pathlib.Path(self.folder)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (self.here / "prometheus.yml").write_text("global: {}\n")
        arguments = [PROMETHEUS, f"--config.file={self.here}/prometheus.yml", f"--storage.tsdb.path={self.here}/tsdb"]
        arguments += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=debug"]
        self.prometheus = Process(arguments, self.folder, "prometheus")
        self.addCleanup(self.prometheus.kill)
        self.wait_until_ready()

    def wait_until_ready(self):
        def is_ready():
            try:
                return get(f"{self.url}/-/ready")
            except OSError:
                return None

        wait_until(is_ready, "Prometheus is ready", 30)

    def check(self, path, words):
        """Sends the lines of a file; each sink has all of them, and search finds each word as often as it is there."""
        lines = path.read_text().splitlines()
        self.assertGreater(len(lines), 5)
        agent = self.agent(CONFIG, name=path.stem, env={"PROMETHEUS": self.url})
        report = load(agent, protocol="http", lines=path)
        self.assertEqual(report["records_acknowledged"], len(lines))
        agent.wait_until_idle()
        for word in words:
            expected = sum(word.lower() in line.lower() for line in lines)
            self.assertGreater(expected, 0, word)
            self.assertEqual((word, agent.search(f'"{word}"', limit=10_000)["num_hits"]), (word, expected))

        def counted():
            answer = get_json(f"{self.url}/api/v1/query", query="lines_total")
            return [result["value"][1] for result in answer["data"]["result"]] == [str(len(lines))]

        wait_until(counted, "Prometheus has the count of lines")
        self.finish(agent)
        files = str(agent.data / "archive" / "logs" / "**" / "*.parquet")
        bodies = duckdb.execute("SELECT body FROM read_parquet($1)", [files]).fetchall()
        self.assertEqual(sorted(body for (body,) in bodies), sorted(lines))

    @unittest.skipUnless(NGINX, "nginx is not installed")
    def test_nginx(self):
        folder, port = self.here / "nginx", free_port()
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.replace("FOLDER", str(folder)).replace("PORT", str(port)))
        (folder / "hello.txt").write_text("hello\n")
        nginx = Process([NGINX, "-c", config, "-e", folder / "error.log"], folder, "nginx")
        self.addCleanup(nginx.kill)
        nginx.wait_for_ports(port)
        for number in range(200):
            path = ["hello.txt", f"missing-{number}", "teapot", f"hello.txt?user={number}"][number % 4]
            try:
                get(f"http://127.0.0.1:{port}/{path}")
            except urllib.error.HTTPError as error:
                self.assertIn(error.code, (404, 418))
        nginx.stop()
        self.check(folder / "access.log", ["hello", "404", "teapot", "GET /missing-17 HTTP", "user=199"])
        self.check(folder / "error.log", ["open", "No such file", "failed"])

    def test_prometheus(self):
        for number in range(20):
            get_json(f"{self.url}/api/v1/query", query=f"up + {number}")
        self.prometheus.stop()
        log = self.here / "prometheus.stored.log"
        shutil.copy(self.prometheus.log_path, log)
        again = Process(self.prometheus.process.args, self.folder, "prometheus-again")
        self.addCleanup(again.kill)
        self.wait_until_ready()
        self.check(log, ["TSDB", "level=info", "Server is ready", "caller=main.go"])
