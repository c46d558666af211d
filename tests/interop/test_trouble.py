"""Sinks in trouble: it is named, other sinks go on, the ledger says what was not delivered, and no restart is needed."""

import os
import pathlib
import subprocess
import time

import duckdb
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from harness import Case, free_port, wait_until
from load import load
from remote_write import RemoteWriteServer
from test_prometheus import post, set_attributes

SINKS = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  parquet: {path: "${env:ARCHIVE}", rotation: {max_age: 1s}, retry_on_failure: {initial_interval: 100ms, max_interval: 500ms}}
  logindex: {directory: "${env:INDEX}", commit_interval: 1s, retry_on_failure: {initial_interval: 100ms, max_interval: 500ms}}
service:
  api: {endpoint: "${env:API_ADDRESS}"}
  pipelines:
    logs: {receivers: [otlp], exporters: [parquet, logindex]}
"""
METRICS = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  prometheusremotewrite:
    endpoint: ${env:SERVER}
    retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
  parquet: {path: "${env:DATA_DIR}/archive"}
service:
  pipelines:
    metrics: {receivers: [otlp], exporters: [prometheusremotewrite, parquet]}
"""

# Root may write everywhere, unless it is told not to.
AS_ANY_USER = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def mount(folder, size):
    """Mounts a small file system; whether that was allowed."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


def fill(folder):
    """Fills a small file system to the last byte, and returns the file that does so."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return ballast


class SmallDisk(Case):
    """A file system of 8 MiB that something else has filled: one sink fails, and catches up when there is room."""

    def setUp(self):
        super().setUp()
        self.small = pathlib.Path(self.folder) / "small"
        if not mount(self.small, "8m"):
            self.skipTest("file systems cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(self.small)], check=True)
        self.other = pathlib.Path(self.folder) / "other"

    def check(self, archive, index, trouble):
        env = {"ARCHIVE": str(archive), "INDEX": str(index)}
        agent = self.agent(SINKS, env=env)
        load(agent, protocol="http", records=1000, seed=1)
        wait_until(lambda: agent.ledger()["exporters"][f"{trouble} logs"]["delivered"] == 1000, "all is delivered")
        ballast = fill(self.small)
        load(agent, protocol="http", records=2000, seed=2)
        healthy = {"parquet": "logindex", "logindex": "parquet"}[trouble]
        wait_until(lambda: agent.ledger()["exporters"][f"{healthy} logs"]["delivered"] == 3000, "the other sink goes on")
        wait_until(lambda: "No space left on device" in agent.log(), "the trouble is named")
        self.assertIn(str(self.small), agent.log())
        account = agent.ledger()["exporters"][f"{trouble} logs"]
        self.assertEqual((account["delivered"], account["in_flight"]), (1000, 2000), account)
        ballast.unlink()
        load(agent, protocol="http", records=500, seed=3)
        wait_until(lambda: agent.ledger()["exporters"][f"{trouble} logs"]["delivered"] == 3500, "it catches up", 30)
        self.assertEqual(len(agent.search("_exists_:service.name", limit=10_000)["hits"]), 3500)
        self.finish(agent)
        files = str(archive / "logs" / "**" / "*.parquet")
        ((found,),) = duckdb.execute("SELECT count(*) FROM read_parquet($1)", [files]).fetchall()
        self.assertEqual(found, 3500)

    def test_full_archive(self):
        self.check(self.small / "archive", self.other / "index", "parquet")

    def test_full_index(self):
        self.check(self.other / "archive", self.small / "index", "logindex")


class Unwritable(Case):
    """A folder that cannot be written to: at the start an error that names it, later trouble of one sink."""

    def check_later(self, trouble):
        folders = {"parquet": pathlib.Path(self.folder) / "archive", "logindex": pathlib.Path(self.folder) / "index"}
        env = {"ARCHIVE": str(folders["parquet"]), "INDEX": str(folders["logindex"])}
        agent = self.agent(SINKS, env=env, prefix=AS_ANY_USER)

        def delivered(sink):
            return agent.ledger()["exporters"][f"{sink} logs"]["delivered"]

        load(agent, protocol="http", records=1000, seed=1)
        wait_until(lambda: delivered(trouble) == 1000, "all is delivered")
        subprocess.run(["chmod", "-R", "a-w", str(folders[trouble])], check=True)
        load(agent, protocol="http", records=2000, seed=2)
        healthy = {"parquet": "logindex", "logindex": "parquet"}[trouble]
        wait_until(lambda: delivered(healthy) == 3000, "the other sink goes on")
        wait_until(lambda: "Permission denied" in agent.log(), "the trouble is named")
        self.assertEqual(delivered(trouble), 1000)
        subprocess.run(["chmod", "-R", "u+w", str(folders[trouble])], check=True)
        wait_until(lambda: delivered(trouble) == 3000, "it catches up")
        self.assertEqual(len(agent.search("_exists_:service.name", limit=10_000)["hits"]), 3000)
        self.finish(agent)
        files = str(folders["parquet"] / "logs" / "**" / "*.parquet")
        ((found,),) = duckdb.execute("SELECT count(*) FROM read_parquet($1)", [files]).fetchall()
        self.assertEqual(found, 3000)

    def test_archive_later(self):
        self.check_later("parquet")

    def test_index_later(self):
        self.check_later("logindex")

    def check_start(self, folder):
        blocked = pathlib.Path(self.folder) / "blocked"
        blocked.write_text("a file, where a folder would have to be")
        env = {"ARCHIVE": f"{self.folder}/archive", "INDEX": f"{self.folder}/index"}
        env[folder] = str(blocked / "below")
        with self.assertRaises(AssertionError) as raised:
            self.agent(SINKS, env=env)
        self.assertIn("ended with 1", str(raised.exception))
        self.assertIn(str(blocked / "below"), str(raised.exception))

    def test_archive_at_the_start(self):
        self.check_start("ARCHIVE")

    def test_index_at_the_start(self):
        self.check_start("INDEX")


class RemoteWrite(Case):
    """A remote-write receiver that is not there or refuses."""

    def setUp(self):
        super().setUp()
        self.server = RemoteWriteServer()
        self.addCleanup(self.server.stop)

    def send(self, agent, count=20, first=0):
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        set_attributes(resource.resource, service__name="shop")
        metrics = resource.scope_metrics.add().metrics
        now = time.time_ns()
        for number in range(first, first + count):
            metrics.add(name=f"level{number}").gauge.data_points.add(time_unix_nano=now, as_int=number)
        post(agent, "metrics", request)

    def taken(self):
        return sorted(value for number in range(100) for _, _, value in self.server.samples(f"level{number}"))

    def archived(self, agent):
        files = str(agent.data / "archive" / "metrics" / "**" / "*.parquet")
        ((found,),) = duckdb.execute("SELECT count(*) FROM read_parquet($1)", [files]).fetchall()
        return found

    def test_unreachable(self):
        """Nobody listens, then somebody does: everything arrives."""
        port = free_port()
        agent = self.agent(METRICS, env={"SERVER": f"http://127.0.0.1:{port}/api/v1/write"})
        self.send(agent)
        wait_until(lambda: f"127.0.0.1:{port}" in agent.log(), "the trouble is named")
        account = agent.ledger()["exporters"]["prometheusremotewrite metrics"]
        self.assertEqual((account["received"], account["delivered"]), (20, 0))
        late = RemoteWriteServer(port=port)
        self.addCleanup(late.stop)
        ledger = self.finish(agent)
        self.assertEqual(ledger["exporters"]["prometheusremotewrite metrics"]["delivered"], 20)
        self.assertEqual(self.archived(agent), 20)

    def check_retried(self, refusal):
        """The first five requests are refused, what comes then is taken: nothing is lost, and once is enough."""

        def answer(_request):
            return refusal if self.server.num_refused < 5 else (204, "")

        self.server.answer = answer
        agent = self.agent(METRICS, env={"SERVER": self.server.url})
        self.send(agent)
        self.finish(agent)
        self.assertGreaterEqual(self.server.num_refused, 5)
        self.assertEqual(self.taken(), list(range(20)))
        return agent

    def test_429_is_tried_again(self):
        self.assertIn("slow down", self.check_retried((429, "slow down")).log())

    def test_500_is_tried_again(self):
        self.assertIn("out of order", self.check_retried((500, "out of order")).log())

    def test_a_connection_that_closes_is_tried_again(self):
        self.check_retried(None)

    def test_400_drops_the_bad_series_alone(self):
        def answer(request):
            names = [label.value for series in request.timeseries for label in series.labels]
            return (400, "level7 is bad") if "level7" in names else (204, "")

        self.server.answer = answer
        agent = self.agent(METRICS, env={"SERVER": self.server.url})
        self.send(agent)
        ledger = self.finish(agent)
        account = ledger["exporters"]["prometheusremotewrite metrics"]
        self.assertEqual((account["received"], account["delivered"], sum(account["dropped"].values())), (20, 19, 1))
        self.assertEqual(set(self.taken()), set(range(20)) - {7})
        self.assertIn("level7{job=", agent.log())
        self.assertIn("level7 is bad", agent.log())
        self.assertEqual(self.archived(agent), 20)

    def test_404_is_final_and_named(self):
        self.server.answer = lambda _request: (404, "no such tenant")
        agent = self.agent(METRICS, env={"SERVER": self.server.url})
        self.send(agent)
        ledger = self.finish(agent)
        self.assertEqual(sum(ledger["exporters"]["prometheusremotewrite metrics"]["dropped"].values()), 20)
        self.assertIn("no such tenant", agent.log())
        self.assertEqual(self.archived(agent), 20)
