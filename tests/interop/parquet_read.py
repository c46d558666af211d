"""Reads an archive with pyarrow and with DuckDB, and compares with what should be in it.

Usage: parquet_read.py FOLDER EXPECTATIONS.json

FOLDER is an archive (logs/, traces/, metrics/ below). The expectations are, by signal: `rows`, the
number of rows; `sums`, sums by column; `row`, one row that `where` finds by the values of columns,
and its `values`. Times are ISO 8601 in UTC, bytes hexadecimal, maps objects.
"""

import datetime
import json
import pathlib
import sys

import duckdb
import pyarrow.compute
import pyarrow.dataset


def plain(value):
    """A value as it stands in the expectations."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        # pyarrow has maps as lists of pairs.
        if value and all(isinstance(inner, tuple) for inner in value):
            return {key: plain(inner) for key, inner in value}
        return [plain(inner) for inner in value]
    return value


def with_pyarrow(folder, expected):
    table = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table()
    found = {"rows": table.num_rows}
    sums = {}
    for column in expected.get("sums", {}):
        sums[column] = pyarrow.compute.sum(table[column]).as_py()
    found["sums"] = sums
    rows = table
    for column, value in expected["row"]["where"].items():
        rows = rows.filter(pyarrow.compute.equal(rows[column], value))
    found["matches"] = rows.num_rows
    found["row"] = {column: rows[column][0].as_py() for column in expected["row"]["values"]}
    return found


def with_duckdb(folder, expected):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    pattern = str(folder / "**" / "*.parquet").replace("'", "''")
    source = f"read_parquet('{pattern}', hive_partitioning = true)"

    def one(what, where="", parameters=()):
        return connection.execute(f"SELECT {what} FROM {source} {where}", parameters).fetchone()

    found = {"rows": one("count(*)")[0]}
    found["sums"] = {
        column: one(f'sum("{column}")')[0] for column in expected.get("sums", {})
    }
    where = expected["row"]["where"]
    condition = "WHERE " + " AND ".join(f'"{column}" = ?' for column in where)
    parameters = list(where.values())
    found["matches"] = one("count(*)", condition, parameters)[0]
    columns = list(expected["row"]["values"])
    what = ", ".join(f'"{column}"' for column in columns)
    found["row"] = dict(zip(columns, one(what, condition, parameters)))
    return found


def differences(name, found, expected):
    if found["rows"] != expected["rows"]:
        yield f"{name}: {found['rows']} rows, expected {expected['rows']}"
    for column, value in expected.get("sums", {}).items():
        if found["sums"][column] != value:
            yield f"{name}: sum of {column} is {found['sums'][column]}, expected {value}"
    if found["matches"] != 1:
        yield f"{name}: {found['matches']} rows where {expected['row']['where']}"
    for column, value in expected["row"]["values"].items():
        got = plain(found["row"][column])
        # An empty map is an empty list of pairs to pyarrow.
        if got != value and not (got == [] and value == {}):
            yield f"{name}: {column} is {got!r}, expected {value!r}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[1])
    expectations = json.loads(pathlib.Path(sys.argv[2]).read_text())
    problems = []
    for signal, expected in expectations.items():
        for reader, read in (("pyarrow", with_pyarrow), ("duckdb", with_duckdb)):
            found = read(root / signal, expected)
            problems += differences(f"{signal} with {reader}", found, expected)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"read {', '.join(expectations)} with pyarrow and DuckDB as expected")


if __name__ == "__main__":
    main()
