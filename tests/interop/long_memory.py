"""Resident memory: at idle, and for `DURATION` seconds of full load whose destination stops answering in the middle."""

import os
import signal
import statistics
import subprocess
import time

from harness import CATCHMENT, Case, wait_until
from load import endpoint
from long_cpu import SINK

DURATION = int(os.environ.get("DURATION", "600"))
LIMIT_MIB = 256
# Beside the budget stand the program itself, stacks and connections, and what the allocator keeps.
OVERHEAD_MIB = 48
IDLE_OTLP_MIB = 20
IDLE_DEFAULT_MIB = 30
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
      http: {endpoint: "${env:HTTP_ADDRESS}"}
processors:
  memory_limiter: {check_interval: 100ms, limit_mib: LIMIT, spike_limit_mib: 64}
  batch:
exporters:
  otlp: {endpoint: "${env:SINK}", tls: {insecure: true}, compression: none, timeout: 2s, retry_on_failure: {max_interval: 1s}}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp]}
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp]}
    metrics: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp]}
""".replace("LIMIT", str(LIMIT_MIB), 1)


class Memory(Case):
    def idle(self, agent):
        """Resident MiB of an agent that has started and settled."""
        time.sleep(5)
        rss = agent.rss_mib()
        print(f"idle: {rss:.1f} MiB")
        return rss

    def test_idle_otlp_in_otlp_out(self):
        sink = self.agent(SINK, name="sink")
        agent = self.agent(CONFIG, env={"SINK": sink.grpc})
        self.assertLessEqual(self.idle(agent), IDLE_OTLP_MIB)
        self.finish(agent)

    def test_idle_default_pipeline(self):
        agent = self.agent(None)
        self.assertLessEqual(self.idle(agent), IDLE_DEFAULT_MIB)
        self.finish(agent)

    def test_full_load_and_a_destination_that_stops(self):
        sink = self.agent(SINK, name="sink")
        agent = self.agent(CONFIG, env={"SINK": sink.grpc})
        idle = self.idle(agent)
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--protocol", "grpc", "--signal", "logs"]
        command += ["--duration", f"{DURATION}s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(generator.kill)
        started = time.monotonic()
        samples = {"answering": [], "stopped": [], "answering again": []}
        for phase, until in (("answering", 0.4), ("stopped", 0.6), ("answering again", 1.0)):
            if phase == "stopped":
                sink.process.send_signal(signal.SIGSTOP)
            if phase == "answering again":
                sink.process.send_signal(signal.SIGCONT)
            while time.monotonic() - started < until * DURATION:
                samples[phase].append(agent.rss_mib())
                time.sleep(1)
        report = generator.communicate(timeout=60)[0].decode()
        print(f"\n{report}")
        print("| the destination is | samples | median MiB | peak MiB |\n|---|---|---|---|")
        for phase, values in samples.items():
            print(f"| {phase} | {len(values)} | {statistics.median(values):.0f} | {max(values):.0f} |")
        peak = max(max(values) for values in samples.values())
        agent.wait_until_idle(60)
        try:
            wait_until(lambda: agent.rss_mib() < idle + OVERHEAD_MIB, "memory is given back", 30)
        finally:
            print(f"idle before {idle:.1f} MiB, afterwards {agent.rss_mib():.1f} MiB")
        self.assertLessEqual(peak, LIMIT_MIB + OVERHEAD_MIB)
        self.finish(agent)
        self.finish(sink)
