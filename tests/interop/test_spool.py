"""The queue of an exporter on disk: a destination that is away, and an agent that is killed."""

import json
import os
import random
import subprocess
import time
from collections import Counter

from harness import CATCHMENT, Case, attributes, wait_until
from load import endpoint

KILLS = int(os.environ.get("KILLS", "3"))

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
extensions:
  file_storage: {directory: "${env:DATA_DIR}/queues"}
exporters:
  otlphttp:
    endpoint: ${env:SERVER_HTTP}
    timeout: 500ms
    sending_queue: {storage: file_storage}
    retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
service:
  extensions: [file_storage]
  pipelines:
    logs: {receivers: [otlp], exporters: [otlphttp]}
"""


class Spool(Case):
    def test_every_acknowledged_record_arrives(self):
        server = self.otlp_server()
        # Nobody is there until the agent was killed often enough.
        agent = self.agent(CONFIG.replace("${env:SERVER_HTTP}", "${env:AWAY}"), env={"AWAY": "http://127.0.0.1:9", **server.env})
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--ids", "--rate", "5000", "--batch-size", "100"]
        command += ["--retry-for", "60s", "--duration", f"{KILLS * 1.5:.0f}s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        for _ in range(KILLS):
            time.sleep(random.uniform(0.3, 1.5))
            agent.kill()
            agent.start_again()
        report = json.loads(generator.communicate(timeout=120)[0])
        self.assertEqual(generator.returncode, 0, report)
        self.assertEqual(server.records("logs"), [])
        self.assertEqual(agent.stop(), 0, agent.log())
        (agent.folder / "config.yaml").write_text(CONFIG)
        agent.start_again()
        expected = set(range(1, report["signals"]["logs"]["last_id"] + 1))

        def arrived():
            return Counter(attributes(record)["load.id"] for _, _, record in server.records("logs"))

        wait_until(lambda: expected <= set(arrived()), "everything arrives", 60)
        self.finish(agent)
        print(f"{KILLS} kills, {len(expected)} records, {sum(arrived().values()) - len(expected)} twice")
