"""CPU seconds per million records, Catchment beside the Collector, configured alike, in one run.

The agent has one core, the generator and the destination the other. `MEASURE_SECONDS` is the time of each
measurement.
"""

import os
import time

from harness import Case
from load import load, on_core

COLLECTOR = os.environ.get("COLLECTOR_BIN", "otelcol")
MEASURED_SECONDS = float(os.environ.get("MEASURE_SECONDS", "4"))
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}", max_recv_msg_size_mib: 64}
      http: {endpoint: "${env:HTTP_ADDRESS}"}
processors:
  filter:
    logs: {include: {match_type: strict, severity_number: {min: INFO}}}
    spans: {exclude: {match_type: regexp, span_names: ["/healthz$$"]}}
    metrics: {exclude: {match_type: strict, metric_names: ["queue.depth"]}}
  attributes: {actions: [{key: deployment.environment, value: production, action: upsert}]}
  transform:
    log_statements:
      - set(resource.attributes["cluster"], "c1")
      - set(log.attributes["environment"], "production")
      - set(log.severity_number, SEVERITY_NUMBER_ERROR) where IsMatch(log.body, "(?i)panic|fatal")
      - set(log.attributes["tier"], "edge") where resource.attributes["service.name"] == "checkout"
      - set(log.attributes["route"], log.attributes["http.route"]) where log.attributes["http.route"] != nil
      - replace_pattern(log.body, "password=[^ ]*", "password=***")
      - delete_key(log.attributes, "thread.id")
      - set(log.attributes["slow"], true) where log.attributes["duration_ms"] > 500
      - set(log.severity_text, ToUpperCase(log.severity_text)) where log.severity_text != ""
      - set(log.attributes["traced"], true) where log.trace_id.string != ""
    trace_statements:
      - set(resource.attributes["cluster"], "c1")
      - set(span.attributes["environment"], "production")
      - set(span.status.code, STATUS_CODE_ERROR) where span.attributes["http.response.status_code"] >= 500
      - set(span.attributes["tier"], "edge") where resource.attributes["service.name"] == "checkout"
      - set(span.attributes["route"], span.attributes["http.route"]) where span.attributes["http.route"] != nil
      - replace_pattern(span.name, "/[0-9]+", "/{id}")
      - delete_key(span.attributes, "thread.id")
      - set(span.attributes["slow"], true) where span.end_time_unix_nano - span.start_time_unix_nano > 500000000
      - set(span.attributes["kind"], span.kind.string)
      - set(span.attributes["root"], true) where IsRootSpan()
exporters:
  nop:
  otlp: {endpoint: "${env:SINK_GRPC}", tls: {insecure: true}, compression: COMPRESSION, sending_queue: {block_on_overflow: true}}
  otlphttp: {endpoint: "${env:SINK_HTTP}", compression: COMPRESSION, sending_queue: {block_on_overflow: true}}
service:
  pipelines:
    SIGNAL: {receivers: [otlp], processors: [PROCESSORS], exporters: [EXPORTER]}
"""
SINK = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  nop:
service:
  pipelines:
    logs: {receivers: [otlp], exporters: [nop]}
    traces: {receivers: [otlp], exporters: [nop]}
    metrics: {receivers: [otlp], exporters: [nop]}
"""
WORKS = ("drop", "filter + attribute → drop", "filter → OTLP out", "10 OTTL statements → drop")
BATCH_SIZES = {"logs": 500, "traces": 500, "metrics": 200}
UNITS = {"logs": "logs", "traces": "spans", "metrics": "data points"}


class Cpu(Case):
    def measure(self, name, arguments, work, signal, protocol, compression):
        """CPU seconds per million records, records per second, and the peak of memory in MiB."""
        label = f"{name}-{time.monotonic_ns()}"
        sink = self.agent(SINK, name=f"sink-{label}", prefix=on_core(1))
        config = CONFIG.replace("COMPRESSION", compression).replace("SIGNAL", signal)
        exporter = {"grpc": "otlp", "http": "otlphttp"}[protocol] if work == WORKS[2] else "nop"
        processors = {WORKS[0]: "", WORKS[1]: "filter, attributes", WORKS[2]: "filter", WORKS[3]: "transform"}[work]
        config = config.replace("PROCESSORS", processors).replace("EXPORTER", exporter)
        env = {"SINK_GRPC": sink.grpc, "SINK_HTTP": sink.http}
        agent = self.agent(config, name=label, arguments=arguments, prefix=on_core(0), env=env)
        options = {"batch_size": BATCH_SIZES[signal], "seed": 1, "prefix": on_core(1)}
        load(agent, signal, protocol, compression, duration="1s", **options)
        # Once the generator is done, what is in the agent's queue goes out.
        measured = {"duration": f"{MEASURED_SECONDS}s", "settle": "1s", "pid": agent.pid}
        report = load(agent, signal, protocol, compression, **measured, **options)
        if work == WORKS[2]:
            self.assertGreater(sum(account["received"] for account in sink.ledger()["pipelines"].values()), 0)
        agent.stop()
        self.finish(sink)
        return (
            report["agent_cpu_seconds_per_million"],
            report["records_per_second"],
            report["agent_peak_rss_bytes"] / (1 << 20),
        )

    def table(self, signal):
        """Measures everything for a signal and prints a Markdown table."""
        rows = []
        for work in WORKS if signal != "metrics" else WORKS[:3]:
            for protocol in ("grpc", "http"):
                for compression in ("none", "gzip", "zstd"):
                    case = (work, signal, protocol, compression)
                    ours = self.measure("catchment", None, *case)
                    theirs = self.measure("collector", [COLLECTOR], *case)
                    rows.append((*case, ours, theirs))
        unit = UNITS[signal]
        print(f"\n| {unit} in → | over | compression | Catchment CPU s/M | Collector CPU s/M | ratio "
              f"| Catchment {unit}/s | Collector {unit}/s | peak MiB |")
        print("|---|---|---|---|---|---|---|---|---|")
        for work, _, protocol, compression, ours, theirs in rows:
            print(f"| {work} | {protocol} | {compression} | {ours[0]:.2f} | {theirs[0]:.2f} | {theirs[0] / ours[0]:.1f} "
                  f"| {ours[1]:,.0f} | {theirs[1]:,.0f} | {ours[2]:.0f} / {theirs[2]:.0f} |")
        for work, _, protocol, compression, ours, theirs in rows:
            self.assertLess(ours[0], theirs[0] / 2, (work, signal, protocol, compression))

    def test_logs(self):
        self.table("logs")

    def test_spans(self):
        self.table("traces")

    def test_data_points(self):
        self.table("metrics")
