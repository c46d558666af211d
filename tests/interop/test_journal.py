"""A journal behind the receiver: the agent is killed again and again under load, and every record arrives."""

import json
import os
import random
import subprocess
import time
from collections import Counter

import duckdb

from harness import CATCHMENT, Case, get, wait_until
from load import endpoint

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
        self.wait_until_closed(agent)
        self.finish(agent)
        expected = json.loads(report)["signals"]["logs"]["last_id"]
        print(f"{KILLS} kills, {expected} records")
        for place, ids in (("archive", self.archived(agent)), ("index", self.indexed(agent))):
            counts = Counter(ids)
            missing = expected - sum(1 for number in counts if 1 <= number <= expected)
            repeated = sum(count - 1 for count in counts.values())
            print(f"{place}: {missing} missing, {repeated} twice")
            self.assertEqual((missing, repeated), (0, 0), place)

    def wait_until_closed(self, agent):
        try:
            wait_until(lambda: agent.own_metric("catchment_journal_open_entries") == 0, "all entries are closed", 300)
        except AssertionError as error:
            metrics = [line for line in get(f"{agent.own}/metrics").splitlines() if "_journal_" in line]
            raise AssertionError("\n".join([str(error), *metrics, agent.log(), str(agent.ledger())])) from None

    def archived(self, agent):
        files = str(agent.data / "archive" / "logs" / "**" / "*.parquet")
        query = "SELECT CAST(attributes['load.id'] AS BIGINT) FROM read_parquet($1)"
        return [number for (number,) in duckdb.execute(query, [files]).fetchall()]

    def indexed(self, agent):
        command = [CATCHMENT, "search", "_exists_:load.id", "--dir", agent.data / "index", "--json", "--limit", "100000000"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return [json.loads(line)["attributes"]["load.id"] for line in lines]
