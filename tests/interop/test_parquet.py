"""Archives as others read them: DuckDB, pyarrow and, by its types, Spark. Sizes beside DuckDB's own files."""

import datetime
import itertools
import pathlib
import urllib.request

import duckdb
import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from harness import DATA, SERVICES, Case, needs_data
from load import load

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  parquet:
    path: "${env:DATA_DIR}/archive"
    promote_attributes: [http.route]
    PARTITIONS
service:
  pipelines:
    logs: {receivers: [otlp], exporters: [parquet]}
    traces: {receivers: [otlp], exporters: [parquet]}
    metrics: {receivers: [otlp], exporters: [parquet]}
"""
START = 1_795_532_400_123_456_789
NULL = "__HIVE_DEFAULT_PARTITION__"

# What Spark reads of Parquet (ParquetToSparkSchemaConverter), as pyarrow calls it: no nanoseconds, no unsigned numbers.
SPARK_SINGLE = {
    pyarrow.int32(), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_(), pyarrow.string(), pyarrow.binary(),
    pyarrow.timestamp("us", tz="UTC"), pyarrow.binary(16), pyarrow.binary(8),
}


def value(content):
    if isinstance(content, dict):
        pairs = [common_pb2.KeyValue(key=key, value=value(inner)) for key, inner in content.items()]
        return common_pb2.AnyValue(kvlist_value=common_pb2.KeyValueList(values=pairs))
    kinds = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
    return common_pb2.AnyValue(**({} if content is None else {kinds[type(content)]: content}))


def pairs(**attributes):
    return [common_pb2.KeyValue(key=key.replace("__", "."), value=value(content)) for key, content in attributes.items()]


def resource(service):
    attributes = pairs(service__name=service, replica=3) if service is not None else []
    return resource_pb2.Resource(attributes=attributes)


def log(number):
    return logs_pb2.LogRecord(
        time_unix_nano=START + number,
        severity_number=number % 24 + 1,
        severity_text="INFO",
        body=value(f"line {number} \u00e9"),
        attributes=pairs(number=number, ratio=0.5, ok=True, map={"a": 1.0}, empty=None),
        trace_id=number.to_bytes(16),
        span_id=number.to_bytes(8),
    )


def span(number):
    start = START + number * 1_000_000
    event = trace_pb2.Span.Event(time_unix_nano=start + 1, name="retry", attributes=pairs(n=1))
    return trace_pb2.Span(
        trace_id=bytes([1] * 16),
        span_id=number.to_bytes(8),
        name=f"GET /{number % 7}",
        kind=2,
        start_time_unix_nano=start,
        end_time_unix_nano=start + number,
        attributes=pairs(http__route="/"),
        events=[event] * (number % 2 == 0),
        links=[trace_pb2.Span.Link(trace_id=bytes([2] * 16), span_id=bytes([3] * 8))] * (number % 2 == 0),
        status=trace_pb2.Status(code=2, message="broken"),
    )


def points():
    times = {"start_time_unix_nano": START, "time_unix_nano": START + 1}
    numbers = [metrics_pb2.NumberDataPoint(as_int=number, attributes=pairs(n=number), **times) for number in range(100)]
    yield metrics_pb2.Metric(
        name="requests",
        unit="1",
        sum=metrics_pb2.Sum(data_points=numbers, aggregation_temporality=2, is_monotonic=True),
    )
    point = metrics_pb2.HistogramDataPoint(
        count=3, sum=4.5, explicit_bounds=[1.0, 2.0], bucket_counts=[1, 0, 2], **times
    )
    yield metrics_pb2.Metric(
        name="latency", histogram=metrics_pb2.Histogram(data_points=[point], aggregation_temporality=2)
    )


def logs(service, numbers):
    scope = common_pb2.InstrumentationScope(name="lib", version="1.2")
    scope_logs = logs_pb2.ScopeLogs(scope=scope, log_records=map(log, numbers))
    return logs_pb2.ResourceLogs(resource=resource(service), scope_logs=[scope_logs], schema_url="https://schema")


def varied(number):
    """A row in which each column repeats in its own way."""
    route = f"/{number // 3 % 40}" * (1 + number // 3 % 40) if number >= 25_000 else None
    attributes = {f"key{index}": str(number // 11 % 3) for index in range(number // 50 % 4)}
    if route is not None:
        attributes["http.route"] = route
    return {
        "service_name": ["checkout", None, "cart"][number // 7_001 % 3],
        "severity_text": "INFO" if number // 137 % 2 else None,
        "http_route": route,
        "event_name": None,
        "scope_name": "lib",
        "attributes": attributes,
    }


def varied_logs(rows, numbers):
    records = [
        logs_pb2.LogRecord(
            time_unix_nano=START + number,
            severity_text=rows[number]["severity_text"] or "",
            attributes=[common_pb2.KeyValue(key=key, value=value(text)) for key, text in rows[number]["attributes"].items()],
        )
        for number in numbers
    ]
    scope_logs = logs_pb2.ScopeLogs(scope=common_pb2.InstrumentationScope(name="lib"), log_records=records)
    return logs_pb2.ResourceLogs(resource=resource(rows[numbers[0]]["service_name"]), scope_logs=[scope_logs])


# By signal: the number of rows; sums by column; one row by what finds it, and what is in it.
EXPECTED = {
    "logs": (
        10_000,
        {"severity_number": 124_936, "time_nanos": 4_995_000},
        {"body": "line 9999 \u00e9"},
        {
            "time": "2026-11-24T15:00:00.123466+00:00",
            "time_nanos": 788,
            "severity_text": "INFO",
            "trace_id": "0000000000000000000000000000270f",
            "span_id": "000000000000270f",
            "service_name": "checkout",
            "tenant": None,
            "event_name": None,
            "attributes": {"number": "9999", "ratio": "0.5", "ok": "true", "map": '{"a":1.0}', "empty": None},
            "attribute_kinds": "0304020608",
            "resource_attributes": {"service.name": "checkout", "replica": "3"},
            "resource_schema_url": "https://schema",
            "scope_name": "lib",
        },
    ),
    "traces": (
        1_000,
        {"duration_nanos": 499_500, "status_code": 2_000},
        {"duration_nanos": 998},
        {
            "name": "GET /4",
            "kind": 2,
            "parent_span_id": None,
            "http_route": "/",
            "status_message": "broken",
            "events": [
                {
                    "time": "2026-11-24T15:00:01.121456+00:00",
                    "time_nanos": 790,
                    "name": "retry",
                    "dropped_attributes_count": 0,
                    "attributes": {"n": "1"},
                    "attribute_kinds": "03",
                }
            ],
        },
    ),
    "metrics": (
        101,
        {"value_int": 4_950, "count": 3},
        {"metric_name": "latency"},
        {
            "metric_type": "histogram",
            "aggregation_temporality": 2,
            "sum": 4.5,
            "bucket_counts": [1, 0, 2],
            "explicit_bounds": [1.0, 2.0],
            "value_int": None,
            "attributes": {},
        },
    ),
}


def plain(found):
    """A value as it stands in the expectations."""
    if isinstance(found, datetime.datetime):
        return found.astimezone(datetime.timezone.utc).isoformat(timespec="microseconds")
    if isinstance(found, bytes):
        return found.hex()
    if isinstance(found, dict):
        return {key: plain(inner) for key, inner in found.items()}
    if isinstance(found, list):
        # pyarrow has maps as lists of pairs.
        if found and all(isinstance(inner, tuple) for inner in found):
            return {key: plain(inner) for key, inner in found}
        return [plain(inner) for inner in found]
    return found


def with_pyarrow(folder, sums, where, columns):
    table = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table()
    rows = table
    for column, wanted in where.items():
        rows = rows.filter(pyarrow.compute.equal(rows[column], wanted))
    return (
        table.num_rows,
        {column: pyarrow.compute.sum(table[column]).as_py() for column in sums},
        rows.num_rows,
        {column: plain(rows[column][0].as_py()) for column in columns},
    )


def files_below(folder):
    return str(folder / "**" / "*.parquet")


def with_duckdb(folder, sums, where, columns):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    condition = " AND ".join(f'"{column}" = ?' for column in where)

    def row(what, rest="", parameters=()):
        query = f"SELECT {what} FROM read_parquet(?, hive_partitioning = true) {rest}"
        return connection.execute(query, [files_below(folder), *parameters]).fetchone()

    what = ", ".join(f'"{column}"' for column in columns)
    found = row(what, f"WHERE {condition}", where.values())
    return (
        row("count(*)")[0],
        {column: row(f'sum("{column}")')[0] for column in sums},
        row("count(*)", f"WHERE {condition}", where.values())[0],
        {column: plain(inner) for column, inner in zip(columns, found)},
    )


class Archive(Case):
    def archive(self, partitions=""):
        """An agent with an archive, which ends with it, and the folder of the archive."""
        agent = self.agent(CONFIG.replace("PARTITIONS", partitions))
        return agent, agent.data / "archive"

    def post(self, agent, signal, *groups):
        message, _, _, _ = SERVICES[signal]
        field = {"logs": "resource_logs", "traces": "resource_spans", "metrics": "resource_metrics"}[signal]
        body = message(**{field: groups}).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        with urllib.request.urlopen(urllib.request.Request(f"{agent.http}/v1/{signal}", body, headers)) as answer:
            self.assertEqual(answer.status, 200)

    def fill(self, agent):
        for first in range(0, 10_000, 500):
            self.post(agent, "logs", logs("checkout", range(first, first + 500)))
        scope_spans = trace_pb2.ScopeSpans(spans=map(span, range(1_000)))
        self.post(agent, "traces", trace_pb2.ResourceSpans(resource=resource("cart"), scope_spans=[scope_spans]))
        scope_metrics = metrics_pb2.ScopeMetrics(metrics=points())
        self.post(agent, "metrics", metrics_pb2.ResourceMetrics(resource=resource("cart"), scope_metrics=[scope_metrics]))
        self.finish(agent)

    def check(self, folder):
        for signal, (num_rows, sums, where, row) in EXPECTED.items():
            for read in (with_pyarrow, with_duckdb):
                with self.subTest(signal=signal, reader=read.__name__):
                    found = read(folder / signal, sums, where, row)
                    # An empty map is an empty list of pairs to pyarrow.
                    found[3].update({name: {} for name in found[3] if row[name] == {} and found[3][name] == []})
                    self.assertEqual(found, (num_rows, sums, 1, row))


class Reading(Archive):
    def test_values(self):
        agent, folder = self.archive()
        self.fill(agent)
        self.check(folder)

    def test_columns_whose_rows_repeat(self):
        # Texts of which one row has what the row before has, or nothing, in runs of any length; pages of 20,000 rows.
        rows = [varied(number) for number in range(50_000)]
        agent, folder = self.archive()
        for first in range(0, len(rows), 1_000):
            numbers = range(first, first + 1_000)
            groups = [list(group) for _, group in itertools.groupby(numbers, lambda number: rows[number]["service_name"])]
            self.post(agent, "logs", *(varied_logs(rows, group) for group in groups))
        self.finish(agent)
        names = list(rows[0])
        table = pyarrow.dataset.dataset(folder, format="parquet").to_table(columns=["time", "time_nanos", *names])
        by_pyarrow = table.sort_by([("time", "ascending"), ("time_nanos", "ascending")]).select(names).to_pylist()
        what = ", ".join(f'"{name}"' for name in names)
        query = f"SELECT {what} FROM read_parquet(?) ORDER BY time, time_nanos"
        by_duckdb = duckdb.execute(query, [files_below(folder)]).fetchall()
        for number, (row, *found) in enumerate(zip(rows, by_pyarrow, by_duckdb, strict=True)):
            for found_row in (found[0], dict(zip(names, found[1]))):
                found_row["attributes"] = dict(found_row["attributes"])
                self.assertEqual(found_row, row, number)
        for name in ("service_name", "severity_text", "http_route"):
            for wanted in sorted({row[name] for row in rows if row[name] is not None}):
                query = f"SELECT count(*) FROM read_parquet(?) WHERE {name} = ?"
                (found,) = duckdb.execute(query, [files_below(folder), wanted]).fetchone()
                self.assertEqual(found, sum(row[name] == wanted for row in rows), f"{name} {wanted}")

    def test_values_with_partitions(self):
        # pyarrow guesses the type of a partition's name by its values, and needs one.
        agent, folder = self.archive("partition_by: [service.name]")
        self.fill(agent)
        self.check(folder)

    def test_partitions(self):
        agent, folder = self.archive("{}\n    {}".format("partition_by: [service.name]", "max_partitions: 3"))
        names = ["checkout", "../../etc/passwd", "a b=\u00e9%", None]
        self.post(agent, "logs", *(logs(name, range(number + 1)) for number, name in enumerate(names)))
        self.finish(agent)
        paths = sorted(folder.rglob("*.parquet"))
        self.assertEqual(
            sorted(path.parent.name for path in paths),
            sorted(
                f"partition_service_name={name}"
                for name in ("checkout", "..%2F..%2Fetc%2Fpasswd", "a%20b%3D%C3%A9%25", "__other__")
            ),
        )
        for path in paths:
            self.assertEqual(path.parents[3].resolve(), (folder / "logs").resolve())
        found = duckdb.execute(
            """SELECT partition_service_name, service_name, count(*)::INTEGER
               FROM read_parquet(?, hive_partitioning = true) GROUP BY ALL""",
            [files_below(folder)],
        ).fetchall()
        expected = [(name, name, number + 1) for number, name in enumerate(names[:3])] + [("__other__", None, 4)]
        self.assertEqual(sorted(found, key=str), sorted(expected, key=str))
        table = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table()
        pairs_found = zip(table["partition_service_name"].to_pylist(), table["service_name"].to_pylist())
        self.assertEqual(set(pairs_found), {(partition, name) for partition, name, _ in expected})

    def test_partition_of_nothing_is_null(self):
        agent, folder = self.archive("partition_by: [service.name]")
        self.post(agent, "logs", logs(None, range(5)), logs("checkout", range(5, 10)))
        self.finish(agent)
        self.assertTrue(list(folder.rglob(f"partition_service_name={NULL}/*.parquet")))
        query = "SELECT count(*) FROM read_parquet(?, hive_partitioning = true) WHERE partition_service_name IS NULL"
        self.assertEqual(duckdb.execute(query, [files_below(folder)]).fetchone(), (5,))

    def test_types_are_those_that_spark_reads(self):
        agent, folder = self.archive()
        self.fill(agent)
        for signal in EXPECTED:
            (path,) = (folder / signal).rglob("*.parquet")
            schema = pyarrow.parquet.read_schema(path)
            for field in schema:
                for kind in singles(field.type):
                    self.assertIn(kind, SPARK_SINGLE, f"{signal}: {field}")
            # Spark does not tell names apart by case.
            names = [name.lower() for name in schema.names]
            self.assertEqual(len(names), len(set(names)))


def singles(kind):
    """The types without types in them that a type is made of."""
    if pyarrow.types.is_map(kind):
        return [*singles(kind.key_type), *singles(kind.item_type)]
    if pyarrow.types.is_list(kind):
        return singles(kind.value_type)
    if pyarrow.types.is_struct(kind):
        return [inner for field in kind for inner in singles(field.type)]
    return [kind]


class Size(Archive):
    """Bytes for each row, beside DuckDB's own Parquet with zstd, of the same rows in as many row groups.

    DuckDB compresses at level 3 and a whole column of a row group at once, we at level 1 and by pages, which
    readers can skip.
    """

    def check_size(self, folder, what, at_most=1.0):
        source = str(next(folder.rglob("*.parquet")))
        copy = str(pathlib.Path(self.folder) / "copy.parquet")
        duckdb.execute(
            f"COPY (SELECT * FROM read_parquet('{source}', hive_partitioning = false)) TO '{copy}' "
            "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)"
        )
        num_rows = pyarrow.parquet.read_metadata(source).num_rows
        ours, theirs = (pathlib.Path(path).stat().st_size / num_rows for path in (source, copy))
        print(f"\n{what}: {ours:.1f} bytes a row of {num_rows}, {theirs:.1f} by DuckDB")
        self.assertLess(ours, theirs * at_most)

    def test_generated(self):
        for signal in EXPECTED:
            agent = self.agent(CONFIG.replace("PARTITIONS", ""), name=signal)
            load(agent, signal=signal, protocol="http", records=100_000)
            self.finish(agent)
            at_most = 1.12 if signal == "metrics" else 1.0
            self.check_size(agent.data / "archive" / signal, f"{signal} of `catchment load`", at_most)

    @needs_data
    def test_loghub(self):
        agent, folder = self.archive()
        for name in ("Apache", "HDFS", "Linux", "OpenSSH", "Zookeeper"):
            load(agent, protocol="http", lines=DATA / "loghub" / name / f"{name}_2k.log")
        self.finish(agent)
        self.check_size(folder, "lines of loghub")
