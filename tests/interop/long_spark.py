"""Archives read by a real Spark (PySpark and Java), with partitions and without."""

import base64
import json
import os
import pathlib
import subprocess
import sys

from test_parquet import EXPECTED, Archive

# One that has PySpark.
PYTHON = os.environ.get("SPARK_PYTHON", sys.executable)
READER = """
import json, sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, sum as total

session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
spark = session.config("spark.sql.session.timeZone", "UTC").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
found = {}
for signal, (sums, where, columns) in json.load(open(sys.argv[2])).items():
    table = spark.read.parquet(sys.argv[1] + "/" + signal)
    rows = table
    for name, wanted in where.items():
        rows = rows.where(col(name) == wanted)
    totals = table.select(*[total(name).alias(name) for name in sums]).first().asDict()
    text = rows.selectExpr("to_json(struct(" + ", ".join(columns) + "), map('ignoreNullFields', 'false'))").first()[0]
    partitions = [name for name in table.columns if name.startswith("partition_")]
    found[signal] = [table.count(), totals, rows.count(), json.loads(text), partitions]
json.dump(found, open(sys.argv[3], "w"))
spark.stop()
"""


def as_json(value, name=""):
    """A value of the expectations as Spark writes it as JSON."""
    if isinstance(value, dict):
        return {key: as_json(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, str) and (name.endswith("_id") or name.endswith("_kinds")):
        return base64.b64encode(bytes.fromhex(value)).decode()
    if isinstance(value, str) and name == "time":
        # Milliseconds, of which the writer of JSON has no more.
        return value[:23] + "Z"
    return value


class Spark(Archive):
    def check_spark(self, folder, partitions):
        questions, answers = (pathlib.Path(self.folder) / name for name in ("questions.json", "answers.json"))
        asked = {signal: (list(sums), where, list(row)) for signal, (_, sums, where, row) in EXPECTED.items()}
        questions.write_text(json.dumps(asked))
        command = [PYTHON, "-c", READER, str(folder), str(questions), str(answers)]
        run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr[-3000:])
        for signal, found in json.loads(answers.read_text()).items():
            num_rows, sums, _, row = EXPECTED[signal]
            self.assertEqual(found, [num_rows, sums, 1, as_json(row), partitions], signal)

    def test_values(self):
        agent, folder = self.archive()
        self.fill(agent)
        self.check_spark(folder, [])

    def test_partitions(self):
        agent, folder = self.archive("partition_by: [tenant, service.name]")
        self.fill(agent)
        self.check_spark(folder, ["partition_tenant", "partition_service_name"])
