"""A journal behind the receiver: the agent is killed again and again under load, and every record arrives."""

import json
import os
import pathlib
import random
import subprocess
import time
from collections import Counter

import duckdb

from harness import CATCHMENT, Case, get, wait_until
from load import endpoint
from remote_write import RemoteWriteServer, labels_of
from test_trouble import fill, mount

KILLS = int(os.environ.get("KILLS", "5"))
RATE = 10_000

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
extensions:
  journal: {directory: "${env:DATA_DIR}/journal", segment_size: 16MiB}
processors:
  batch: {timeout: 50ms}
exporters:
  parquet: {path: "${env:DATA_DIR}/archive", rotation: {max_age: 700ms}}
  logindex: {directory: "${env:DATA_DIR}/index", commit_interval: 900ms}
service:
  extensions: [journal]
  pipelines:
    logs: {receivers: [otlp], processors: [batch], exporters: [parquet, logindex]}
"""


def wait_until_closed(agent):
    try:
        wait_until(lambda: agent.own_metric("catchment_journal_open_entries") == 0, "all entries are closed", 300)
    except AssertionError as error:
        metrics = [line for line in get(f"{agent.own}/metrics").splitlines() if "_journal_" in line]
        raise AssertionError("\n".join([str(error), *metrics, agent.log(), str(agent.ledger())])) from None


def archived(agent):
    files = str(agent.data / "archive" / "logs" / "**" / "*.parquet")
    query = "SELECT CAST(attributes['load.id'] AS BIGINT) FROM read_parquet($1)"
    return [number for (number,) in duckdb.execute(query, [files]).fetchall()]


def indexed(agent):
    command = [CATCHMENT, "search", "_exists_:load.id", "--dir", agent.data / "index", "--json", "--limit", "100000000"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [json.loads(line)["attributes"]["load.id"] for line in lines]


class Kills(Case):
    def test_every_acknowledged_record_arrives(self):
        agent = self.agent(CONFIG)
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--ids", "--rate", str(RATE)]
        command += ["--batch-size", "100", "--retry-for", "60s", "--duration", f"{KILLS * 1.5:.0f}s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        for _ in range(KILLS):
            time.sleep(random.uniform(0.2, 2))
            agent.kill()
            agent.start_again()
        report, _ = generator.communicate(timeout=120)
        self.assertEqual(generator.returncode, 0, report)
        wait_until_closed(agent)
        self.finish(agent)
        expected = json.loads(report)["signals"]["logs"]["last_id"]
        print(f"{KILLS} kills, {expected} records")
        for place, ids in (("archive", archived(agent)), ("index", indexed(agent))):
            counts = Counter(ids)
            missing = expected - sum(1 for number in counts if 1 <= number <= expected)
            repeated = sum(count - 1 for count in counts.values())
            print(f"{place}: {missing} missing, {repeated} twice")
            self.assertEqual((missing, repeated), (0, 0), place)


class FullDisk(Case):
    """The journal's file system is full for a while: clients come back, and nothing that was acknowledged is lost."""

    def test_clients_wait_for_room(self):
        small = pathlib.Path(self.folder) / "small"
        if not mount(small, "24m"):
            self.skipTest("file systems cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(small)], check=True)
        config = CONFIG.replace("${env:DATA_DIR}/journal", str(small)).replace("segment_size: 16MiB", "segment_size: 1MiB, dedup_window: 0s")
        agent = self.agent(config)
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--ids", "--rate", "20000"]
        command += ["--batch-size", "100", "--retry-for", "60s", "--duration", "6s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        time.sleep(1)
        ballast = fill(small)
        wait_until(lambda: "No space left on device" in agent.log(), "the trouble is named")
        self.assertIn(str(small), agent.log())
        time.sleep(1)
        ballast.unlink()
        report = json.loads(generator.communicate(timeout=120)[0])
        self.assertGreater(report["retries"], 0)
        self.assertEqual(generator.returncode, 0, report)
        expected = report["signals"]["logs"]["last_id"]
        self.finish(agent)
        self.assertEqual(sorted(archived(agent)), list(range(1, expected + 1)))
        self.assertEqual(sorted(indexed(agent)), list(range(1, expected + 1)))


METRICS = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
extensions:
  journal: {directory: "${env:DATA_DIR}/journal", segment_size: 16MiB}
exporters:
  prometheusremotewrite:
    endpoint: ${env:SERVER}
    timeout: 500ms
    remote_write_queue: {queue_size: 20, num_consumers: 2}
    retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
service:
  extensions: [journal]
  pipelines:
    metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}
"""


class Outages(Case):
    """A destination that is away half of the time, and an agent that is killed: every point arrives, in order."""

    config = METRICS

    def setUp(self):
        super().setUp()
        self.is_over = False

    def answer(self, _request):
        """Half a second each: well, an error, a closed connection, no answer in time."""
        phase = 0 if self.is_over else int(time.monotonic() * 2) % 8
        if phase == 4:
            return 500, "away"
        if phase == 5:
            return None
        if phase in (6, 7):
            time.sleep(0.7)
        return 204, ""

    def wait_until_sent(self, _agent):
        """What the journal has closed has arrived."""

    def test_every_point_arrives_in_order(self):
        server = RemoteWriteServer(self.answer)
        self.addCleanup(server.stop)
        agent = self.agent(self.config, env={"SERVER": server.url})
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--signal", "metrics", "--rate", "2000"]
        command += ["--batch-size", "20", "--connections", "2", "--in-flight", "2", "--retry-for", "60s", "--duration", "10s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        for _ in range(3):
            time.sleep(random.uniform(1, 3))
            agent.kill()
            agent.start_again()
        report = json.loads(generator.communicate(timeout=120)[0])
        self.assertEqual(generator.returncode, 0, report)
        self.is_over = True
        wait_until_closed(agent)
        self.wait_until_sent(agent)
        self.finish(agent)
        times, arrived = {}, set()
        with server.lock:
            every = [series for request in server.taken for series in request.timeseries]
        num_repeated = num_back = 0
        for one in every:
            labels = labels_of(one)
            key = tuple(sorted(labels.items()))
            for sample in one.samples:
                num_repeated += (key, sample.timestamp) in arrived
                num_back += sample.timestamp < times.get(key, 0) and (key, sample.timestamp) not in arrived
                arrived.add((key, sample.timestamp))
                times[key] = max(times.get(key, 0), sample.timestamp)
        # A histogram has one series that counts its points; sums and gauges are one themselves.
        points = [(key, when) for key, when in arrived if not dict(key)["__name__"].endswith(("_bucket", "_sum")) and dict(key)["__name__"] != "target_info"]
        print(f"{report['signals']['metrics']['acknowledged']} points, {num_repeated} samples repeated, {num_back} late")
        self.assertEqual(len(points), report["signals"]["metrics"]["acknowledged"])
        self.assertEqual(num_back, 0)
