"""The Python side of the interoperability tests.

Reads one JSON request on standard input: a list of commands. Runs them in order and answers with a JSON list of
results on standard output. Data travels as Arrow IPC files, which the requests name.

"uri" is the URI of an SQL catalog, or the properties of a catalog of any type as JSON.

Commands (key "do"):
  read_pyiceberg {uri, table, out, filter?, columns?, snapshot_id?}   -> {rows, metadata_location}
  read_duckdb    {metadata, out, filter?}                             -> {rows}
  append         {uri, table, data}                                   -> {metadata_location}
  create         {uri, table, data}                                   -> {metadata_location}
  change         {uri, table, how, data?, filter?}                    -> {metadata_location}
  scenario       {uri, warehouse, table, name, seed?}                 -> {metadata_location, …}
  refs           {uri, table}                                         -> {name: [snapshot_id, type], …}

"uri" is the URI of an SQL catalog, or the properties of a catalog of any type as JSON, its name as "name".
In place of `metadata`, read_duckdb takes {attach: {warehouse, options, setup}, table}: a catalog that DuckDB attaches.
"""

import functools
import json
import os
import sys
import tempfile
import uuid

import pyarrow as pa


def write_ipc(table: pa.Table, path: str) -> None:
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_ipc(path: str) -> pa.Table:
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all()


@functools.cache
def catalog(uri: str, **properties):
    from pyiceberg.catalog import load_catalog

    if uri.startswith("{"):
        configured = json.loads(uri)
        return load_catalog(configured.pop("name", "default"), **configured, **properties)
    return load_catalog("default", type="sql", uri=uri, **properties)


def plain(table: pa.Table) -> pa.Table:
    """Extension types (uuid) as their storage, so that every reader of Arrow IPC understands them."""
    columns = []
    for column in table.columns:
        if isinstance(column.type, pa.BaseExtensionType):
            column = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def read_pyiceberg(command: dict) -> dict:
    table = catalog(command["uri"]).load_table(command["table"])
    options = {"row_filter": command["filter"]} if command.get("filter") else {}
    if command.get("columns"):
        options["selected_fields"] = tuple(command["columns"])
    if command.get("snapshot_id") is not None:
        options["snapshot_id"] = command["snapshot_id"]
    result = table.scan(**options).to_arrow()
    write_ipc(plain(result), command["out"])
    return {"rows": result.num_rows, "metadata_location": table.metadata_location}


_duckdb = None


def duckdb_connection():
    """DuckDB with its Iceberg extension, which the wheels bring along: nothing is downloaded."""
    global _duckdb
    if _duckdb is None:
        # Extensions are copied to ~/.duckdb: a home of its own keeps the real one clean.
        os.environ["HOME"] = os.environ.get("FLOE_DUCKDB_HOME") or tempfile.mkdtemp(prefix="duckdb-home-")
        os.makedirs(os.environ["HOME"], exist_ok=True)
        import duckdb
        from duckdb_extensions import import_extension

        for extension in ("avro", "httpfs", "iceberg"):
            import_extension(extension)
        _duckdb = duckdb.connect()
        for extension in ("avro", "httpfs", "iceberg"):
            _duckdb.execute(f"LOAD {extension}")
        _duckdb.execute("SET TimeZone = 'UTC'")
        _duckdb.execute("SET threads = 2")
    return _duckdb


def read_duckdb(command: dict) -> dict:
    connection = duckdb_connection()
    where = f" WHERE {command['filter']}" if command.get("filter") else ""
    if "attach" in command:
        source = attached(connection, command["attach"], command["table"])
    else:
        location = command["metadata"].removeprefix("file://").replace("'", "''")
        source = f"iceberg_scan('{location}')"
    relation = connection.sql(f"SELECT * FROM {source}{where}")
    uuids = [name for name, kind in zip(relation.columns, relation.types) if str(kind) == "UUID"]
    result = relation.to_arrow_table()
    for name in uuids:
        index = result.column_names.index(name)
        values = [None if v is None else uuid.UUID(str(v)).bytes for v in result.column(index).to_pylist()]
        result = result.set_column(index, name, pa.array(values, pa.binary(16)))
    write_ipc(plain(result), command["out"])
    return {"rows": result.num_rows}


def attached(connection, attach: dict, table: str) -> str:
    """Attaches a catalog; answers the table's name in it."""
    for statement in attach.get("setup", []):
        connection.execute(statement)
    connection.execute("DETACH DATABASE IF EXISTS peer")
    connection.execute(f"ATTACH '{attach['warehouse']}' AS peer (TYPE iceberg, {attach['options']})")
    namespace, name = table.rsplit(".", 1)
    return f'peer."{namespace}"."{name}"'


def append(command: dict) -> dict:
    table = catalog(command["uri"]).load_table(command["table"])
    data = read_ipc(command["data"])
    if command.get("cast"):
        schema = table.schema().as_arrow()
        data = data.select(schema.names).cast(schema)
    table.append(data)
    return {"metadata_location": table.metadata_location}


def create(command: dict) -> dict:
    data = read_ipc(command["data"])
    table = catalog(command["uri"]).create_table(command["table"], data.schema)
    table.append(data)
    return {"metadata_location": table.metadata_location}


def change(command: dict) -> dict:
    """`how`: append, overwrite, dynamic (overwrite of partitions), delete, upsert."""
    table = catalog(command["uri"]).load_table(command["table"])
    how, row_filter = command["how"], command.get("filter") or "true"
    if how != "delete":
        data = read_ipc(command["data"]).cast(table.schema().as_arrow())
    if how == "append":
        table.append(data)
    elif how == "overwrite":
        table.overwrite(data, overwrite_filter=row_filter)
    elif how == "dynamic":
        table.dynamic_partition_overwrite(data)
    elif how == "delete":
        table.delete(row_filter)
    elif how == "upsert":
        table.upsert(data, join_cols=["id"])
    else:
        raise ValueError(how)
    return {"metadata_location": table.metadata_location}


def scenario(command: dict) -> dict:
    import scenarios

    return scenarios.run(command)


def refs(command: dict) -> dict:
    table = catalog(command["uri"]).load_table(command["table"])
    return {name: [ref.snapshot_id, ref.snapshot_ref_type.value] for name, ref in table.metadata.refs.items()}


COMMANDS = {f.__name__: f for f in (read_pyiceberg, read_duckdb, append, create, change, scenario, refs)}


def main() -> None:
    import warnings

    warnings.simplefilter("ignore")
    # Libraries print to standard output now and then; the answer must stand alone there.
    answer, sys.stdout = sys.stdout, sys.stderr
    results = []
    for command in json.load(sys.stdin):
        try:
            results.append({"ok": COMMANDS[command["do"]](command)})
        except Exception as error:  # noqa: BLE001: the Rust side decides whether a failure is expected
            import traceback

            traceback.print_exc()
            results.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(results, answer)


if __name__ == "__main__":
    main()
