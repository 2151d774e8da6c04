"""PyIceberg's side of the benchmarks: python pyiceberg_side.py CASE FOLDER; prints one JSON object."""

import os
import sys
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import load_catalog

from side import Watch, main, read_input, read_source


def open_catalog(folder: Path, name: str = "pyiceberg"):
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


def prepare(folder: Path, case: str) -> None:
    data = read_input(folder)
    table = create(open_catalog(folder), case, data.schema, case.startswith("overwrite"))
    if case == "writers":
        # Every writer draws from the retries that the table allows.
        with table.transaction() as change:
            change.set_properties({"commit.retry.num-retries": "20"})
    else:
        table.append(data)


def append(folder: Path, partitioned: bool) -> dict:
    data = read_input(folder)
    name = "partitioned" if partitioned else "plain"
    table = create(open_catalog(folder), name, data.schema, partitioned)
    start = Watch()
    table.append(data)
    return start.stop()


def scan(folder: Path) -> dict:
    table = open_catalog(folder, "warehouse").load_table("bench.plain")
    start = Watch()
    rows = table.scan().to_arrow().num_rows
    took = start.stop()
    print(f"pyiceberg scan: {rows} rows", file=sys.stderr)
    return took


def commits(folder: Path) -> dict:
    data = read_input(folder).slice(0, 10)
    table = create(open_catalog(folder), "commits", data.schema)
    table.append(data)
    start = Watch()
    for _ in range(100):
        table.append(data)
    return start.stop(100)


def open_server(folder: Path, name: str):
    """The catalog that a case of `catalogs` names, its tables on local files."""
    warehouse = folder / "catalogs" / "pyiceberg"
    warehouse.mkdir(parents=True, exist_ok=True)
    local = {"warehouse": f"file://{warehouse}"}
    if name == "sqlite":
        properties = {**local, "type": "sql", "uri": f"sqlite:///{warehouse}/catalog.db"}
    elif name == "postgres":
        uri = os.environ["FLOE_TEST_POSTGRES_URI"].replace("postgres://", "postgresql+psycopg2://", 1)
        properties = {**local, "type": "sql", "uri": uri}
    elif name == "rest":
        properties = {"type": "rest", "uri": os.environ["FLOE_TEST_REST_URI"]}
    else:
        properties = {
            **local,
            "type": "glue",
            "glue.endpoint": os.environ["FLOE_TEST_GLUE_ENDPOINT"],
            "glue.region": "us-east-1",
            "glue.access-key-id": "testing",
            "glue.secret-access-key": "testing",
        }
    catalog = load_catalog("bench", **properties)
    catalog.create_namespace_if_not_exists("bench")
    return catalog


def commits_on(folder: Path, case: str) -> dict:
    data = read_input(folder).slice(0, 10)
    name = case.removeprefix("catalogs-")
    table = create(open_server(folder, name), "commits_pyiceberg", data.schema)
    table.append(data)
    start = Watch()
    for _ in range(50):
        table.append(data)
    took = start.stop(50)
    print(f"pyiceberg on {name}: {1 / took['seconds']:.1f} commits a second", file=sys.stderr)
    return took


def plan(folder: Path) -> dict:
    table = open_catalog(folder, "warehouse").load_table("bench.many_files")
    start = Watch()
    files = list(table.scan(row_filter="id = 1234567").plan_files())
    took = start.stop()
    print(f"pyiceberg plan: {len(files)} files", file=sys.stderr)
    return took


def upsert(folder: Path, case: str) -> dict:
    source = read_source(folder, case)
    table = open_catalog(folder).load_table(f"bench.{case}")
    start = Watch()
    result = table.upsert(source, join_cols=["id"])
    took = start.stop()
    print(f"pyiceberg {case}: {result}", file=sys.stderr)
    return took


def delete(folder: Path, case: str) -> dict:
    table = open_catalog(folder).load_table(f"bench.{case}")
    start = Watch()
    table.delete("value < 0.01")
    return start.stop()


def overwrite(folder: Path, case: str, condition: str) -> dict:
    source = read_source(folder, case)
    table = open_catalog(folder).load_table(f"bench.{case}")
    start = Watch()
    table.overwrite(source, overwrite_filter=condition)
    return start.stop()


def write(folder: Path):
    """One of several writers: gives what commits once."""
    data = read_input(folder).slice(0, 10)
    table = open_catalog(folder).load_table("bench.writers")

    def commit() -> None:
        table.refresh()
        table.append(data)

    return commit


CASES = {
    "append": lambda folder, case: append(folder, False),
    "partitions": lambda folder, case: append(folder, True),
    "scan": lambda folder, case: scan(folder),
    "commits": lambda folder, case: commits(folder),
    "catalogs-sqlite": commits_on,
    "catalogs-postgres": commits_on,
    "catalogs-rest": commits_on,
    "catalogs-glue": commits_on,
    "plan": lambda folder, case: plan(folder),
    "upsert-1k": upsert,
    "upsert-10k": upsert,
    "upsert-100k": upsert,
    "delete-1pct": delete,
    "overwrite-category": lambda folder, case: overwrite(folder, case, "category = 'category-03'"),
    "overwrite-partition": lambda folder, case: overwrite(folder, case, "part = 7"),
}

if __name__ == "__main__":
    main(CASES, prepare, write)
