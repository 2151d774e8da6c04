"""PyIceberg's side of the benchmarks: python pyiceberg_side.py CASE FOLDER; prints one JSON object."""

import json
import resource
import sys
import time
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import load_catalog


def open_catalog(folder: Path, name: str):
    warehouse = folder / name
    warehouse.mkdir(parents=True, exist_ok=True)
    catalog = load_catalog(
        "default", type="sql", uri=f"sqlite:///{warehouse}/catalog.db", warehouse=f"file://{warehouse}"
    )
    catalog.create_namespace_if_not_exists("bench")
    return catalog


def create(catalog, name: str, schema: pa.Schema, partitioned: bool = False):
    if catalog.table_exists(f"bench.{name}"):
        catalog.drop_table(f"bench.{name}")
    table = catalog.create_table(f"bench.{name}", schema)
    if partitioned:
        with table.update_spec() as update:
            update.add_identity("part")
    return table


def read_input(folder: Path) -> pa.Table:
    with pa.memory_map(str(folder / "input.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def append(folder: Path, partitioned: bool) -> float:
    data = read_input(folder)
    name = "partitioned" if partitioned else "plain"
    table = create(open_catalog(folder, "pyiceberg"), name, data.schema, partitioned)
    start = time.perf_counter()
    table.append(data)
    return time.perf_counter() - start


def scan(folder: Path) -> float:
    table = open_catalog(folder, "warehouse").load_table("bench.plain")
    start = time.perf_counter()
    rows = table.scan().to_arrow().num_rows
    seconds = time.perf_counter() - start
    print(f"pyiceberg scan: {rows} rows", file=sys.stderr)
    return seconds


def commits(folder: Path) -> float:
    data = read_input(folder).slice(0, 10)
    table = create(open_catalog(folder, "pyiceberg"), "commits", data.schema)
    table.append(data)
    start = time.perf_counter()
    for _ in range(100):
        table.append(data)
    return (time.perf_counter() - start) / 100


def plan(folder: Path) -> float:
    table = open_catalog(folder, "warehouse").load_table("bench.many_files")
    start = time.perf_counter()
    files = list(table.scan(row_filter="id = 1234567").plan_files())
    seconds = time.perf_counter() - start
    print(f"pyiceberg plan: {len(files)} files", file=sys.stderr)
    return seconds


CASES = {
    "append": lambda folder: append(folder, False),
    "partitions": lambda folder: append(folder, True),
    "scan": scan,
    "commits": commits,
    "plan": plan,
}

if __name__ == "__main__":
    seconds = CASES[sys.argv[1]](Path(sys.argv[2]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_rss_bytes": peak}))
