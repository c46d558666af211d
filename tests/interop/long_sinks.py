"""CPU time of the whole agent per record at every sink, until all is committed; `MEASURE_SECONDS` of load each.

The agent has one core, the generator and the remote-write destination the other. Full queues hold the generator back:
refusing what comes again and again would be measured, too.
"""

import os
import pathlib
import time

from harness import Case, wait_until
from load import load, on_core
from remote_write import RemoteWriteServer

MEASURED_SECONDS = float(os.environ.get("MEASURE_SECONDS", "15"))
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}", max_recv_msg_size_mib: 64}
connectors:
  count: {logs: {log.record.count: {attributes: [{key: service.name}, {key: severity_text, default_value: none}]}}}
processors:
  memory_limiter: {check_interval: 100ms, limit_mib: 2048}
  batch:
  deltatocumulative:
exporters:
  nop:
  parquet: {path: "${env:DATA_DIR}/archive", rotation: {max_age: 3s}, sending_queue: {queue_size: 100, block_on_overflow: true}}
  logindex/full: {directory: "${env:DATA_DIR}/full", commit_interval: 10s, sending_queue: {queue_size: 100, block_on_overflow: true}}
  logindex/lean: {directory: "${env:DATA_DIR}/lean", commit_interval: 10s, detail: lean, sending_queue: {queue_size: 100, block_on_overflow: true}}
  prometheusremotewrite: {endpoint: "${env:SERVER}", sending_queue: {queue_size: 100, block_on_overflow: true}}
service:
  pipelines:
    SIGNAL: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [EXPORTERS]}
"""
COUNTED = "    metrics/counted: {receivers: [count], processors: [deltatocumulative], exporters: [prometheusremotewrite]}\n"
# What is measured, the signal, exporters, what the exporters alone may take beyond `nop`, in µs.
CASES = [
    ("drop", "logs", "nop", None),
    ("Parquet", "logs", "parquet", 1.5),
    ("log index, full", "logs", "logindex/full", 7),
    ("log index, lean", "logs", "logindex/lean", 3.5),
    ("Parquet + index (full) + count into remote-write", "logs", "parquet, logindex/full, count", None),
    ("Parquet + index (lean) + count into remote-write", "logs", "parquet, logindex/lean, count", None),
    ("drop", "traces", "nop", None),
    ("Parquet", "traces", "parquet", 2.5),
    ("drop", "metrics", "nop", None),
    ("Parquet", "metrics", "parquet", None),
    ("remote-write", "metrics", "prometheusremotewrite", 2),
]
BATCH_SIZES = {"logs": 500, "traces": 500, "metrics": 200}


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


class Sinks(Case):
    def measure(self, number, signal, exporters):
        """µs of CPU time per record until everything is committed, records per second, MiB resident at most."""
        config = CONFIG.replace("SIGNAL", signal).replace("EXPORTERS", exporters)
        config += COUNTED if "count" in exporters else ""
        agent = self.agent(config, name=f"agent-{number}", prefix=on_core(0), env={"SERVER": self.server.url})
        options = {"batch_size": BATCH_SIZES[signal], "seed": 1, "prefix": on_core(1), "retry_for": "60s"}
        load(agent, signal, duration="1s", **options)
        agent.wait_until_idle(60)
        before = cpu_seconds(agent.pid)
        report = load(agent, signal, duration=f"{MEASURED_SECONDS}s", pid=agent.pid, **options)

        def is_committed():
            return not any(account["in_flight"] for account in agent.ledger()["exporters"].values())

        wait_until(is_committed, "everything is committed", 120)
        # Segments are merged behind.
        time.sleep(3)
        seconds = cpu_seconds(agent.pid) - before
        self.finish(agent)
        records = report["records_acknowledged"]
        sizes = {
            folder.name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            for folder in agent.data.glob("*")
        }
        print(f"{signal} → {exporters}: {sizes} bytes", flush=True)
        return seconds / records * 1e6, report["records_per_second"], report["agent_peak_rss_bytes"] / (1 << 20)

    def test_sinks(self):
        self.server = RemoteWriteServer()
        self.addCleanup(self.server.stop)
        rows, taking_in = [], {}
        for number, (name, signal, exporters, budget) in enumerate(CASES):
            micros, rate, peak = self.measure(number, signal, exporters)
            if exporters == "nop":
                taking_in[signal] = micros
            rows.append((name, signal, micros, micros - taking_in[signal], budget, rate, peak))
        print("\n| sink | records | CPU µs a record | beyond taking it in | budget | records/s | a core | peak MiB |")
        print("|---|---|---|---|---|---|---|---|")
        for name, signal, micros, beyond, budget, rate, peak in rows:
            print(f"| {name} | {signal} | {micros:.2f} | {beyond:.2f} | {budget or ''} | {rate:,.0f} "
                  f"| {1e6 / micros:,.0f} | {peak:.0f} |")
