"""The JSON examples of opentelemetry-proto, sent with curl, are found in Parquet files and by search."""

import json
import subprocess

import duckdb
import pyarrow.parquet

from harness import DATA, Case, needs_data

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  parquet: {path: "${env:DATA_DIR}/archive"}
  logindex: {directory: "${env:DATA_DIR}/index"}
service:
  api: {endpoint: "${env:API_ADDRESS}"}
  pipelines:
    logs: {receivers: [otlp], exporters: [parquet, logindex]}
    traces: {receivers: [otlp], exporters: [parquet]}
    metrics: {receivers: [otlp], exporters: [parquet]}
"""
TIME = 1544712660300000000


@needs_data
class Examples(Case):
    def setUp(self):
        super().setUp()
        self.target = self.agent(CONFIG)

    def curl(self, name, signal):
        """Posts an example and returns the answer, which must be one of full success."""
        command = ["curl", "--silent", "--show-error", "--fail-with-body"]
        command += ["--header", "content-type: application/json"]
        command += ["--data-binary", f"@{DATA / 'opentelemetry-proto' / name}"]
        answer = subprocess.run([*command, f"{self.target.http}/v1/{signal}"], capture_output=True, check=True)
        self.assertIn(json.loads(answer.stdout), ({}, {"partialSuccess": {}}))

    def table(self, signal):
        """All Parquet files of a signal, read by pyarrow and by DuckDB, which must agree."""
        paths = sorted((self.target.data / "archive" / signal).rglob("*.parquet"))
        self.assertTrue(paths, f"no Parquet files of {signal}")
        rows = [row for path in paths for row in pyarrow.parquet.ParquetFile(path).read().to_pylist()]
        ((found,),) = duckdb.execute("SELECT count(*) FROM read_parquet($1)", [[str(path) for path in paths]]).fetchall()
        self.assertEqual(len(rows), found)
        return rows

    def nanoseconds(self, row, column="time"):
        """A time of a row in nanoseconds: its microseconds and the rest."""
        ((micros,),) = duckdb.execute("SELECT epoch_us($1)", [row[column]]).fetchall()
        return micros * 1000 + row[f"{column}_nanos"]

    def test_logs(self):
        self.curl("logs.json", "logs")
        self.curl("events.json", "logs")
        for query, count in (
            ("Example", 1),
            ('"example log record"', 1),
            ("int.attribute:10", 1),
            ("double.attribute:>600", 1),
            ("trace_id:5b8efff798038103d269b633813fc60c", 1),
            ("service:my.service", 2),
            ("severity:info", 2),
            ("guidgenerator", 1),
            ("nowhere", 0),
        ):
            self.assertEqual(self.target.search(query)["num_hits"], count, query)
        hit = self.target.search("Example")["hits"][0]
        self.assertEqual(hit["time_unix_nano"], str(TIME))
        self.assertEqual((hit["severity_number"], hit["severity_text"]), (10, "Information"))
        self.assertEqual((hit["trace_id"], hit["span_id"]), ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"))
        self.assertEqual(
            hit["attributes"],
            {
                "string.attribute": "some string",
                "boolean.attribute": True,
                "int.attribute": 10,
                "double.attribute": 637.704,
                "array.attribute": ["many", "values"],
                "map.attribute": {"some.map.key": "some value"},
            },
        )
        event = self.target.search("guidgenerator")["hits"][0]
        self.assertEqual(event["body"]["title"], "Free Online GUID Generator")
        self.finish(self.target)
        rows = self.table("logs")
        self.assertEqual(len(rows), 2)
        row = next(row for row in rows if row["body"] == "Example log record")
        self.assertEqual(self.nanoseconds(row), TIME)
        self.assertEqual((row["severity_number"], row["service_name"]), (10, "my.service"))
        values = dict(row["attributes"])
        self.assertEqual((values["string.attribute"], values["int.attribute"]), ("some string", "10"))
        self.assertEqual(json.loads(values["array.attribute"]), ["many", "values"])

    def test_traces(self):
        self.curl("trace.json", "traces")
        self.finish(self.target)
        (row,) = self.table("traces")
        self.assertEqual((row["name"], row["service_name"]), ("I'm a server span", "my.service"))
        self.assertEqual(dict(row["attributes"]), {"my.span.attr": "some value"})

    def test_metrics(self):
        self.curl("metrics.json", "metrics")
        self.finish(self.target)
        rows = self.table("metrics")
        names = sorted(row["metric_name"] for row in rows)
        self.assertEqual(names, ["my.counter", "my.exponential.histogram", "my.gauge", "my.histogram"])
