"""Tries floe on test files that other projects publish, and compares what it reads with their peers.

    python public_files.py --floe target/debug/floe [--json report.json] FOLDER...

A folder is a checkout of a project such as parquet-testing, arrow-testing, duckdb-iceberg or iceberg-go. Nothing of it
is kept in this repository. Needs what `requirements.txt` lists, and fastavro, which rewrites the paths in manifests.

Each Parquet and Arrow file is made a table (`create --from`, `append`), read back, and compared with pyarrow and, for
Parquet, DuckDB. Each table is copied, its paths are made absolute, it is entered in a SQLite catalog, read, and
compared with PyIceberg and DuckDB. Each lone metadata file is described, beside PyIceberg.

An outcome is one of: `equal` (the rows of a peer), `refused` (an error of a kind, exit code 2 to 9), `unread` (rows that
pyarrow cannot hold, and so nothing to compare with), `differs`, `panic` (any other exit code), `hang`. The program ends
with 1 when there is one of the last three.
"""

import argparse
import collections
import decimal
import gzip
import json
import math
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

SECONDS = 60
REFUSALS = range(2, 10)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--floe", required=True, type=pathlib.Path)
    arguments.add_argument("--json", type=pathlib.Path)
    arguments.add_argument("--only", help="only paths that contain this")
    arguments.add_argument("folders", nargs="+", type=pathlib.Path)
    options = arguments.parse_args()
    trial = Trial(options.floe.resolve())
    rows = []
    for folder in options.folders:
        for kind, path in found(folder.resolve()):
            name = f"{folder.name}/{path.relative_to(folder.resolve())}"
            if options.only and options.only not in name:
                continue
            outcome, told = getattr(trial, kind)(path)
            rows.append({"project": folder.name, "kind": kind, "path": name, "outcome": outcome, "told": told})
            print(f"{outcome:8} {kind:8} {name}  {told}", flush=True)
    count = collections.Counter((r["project"], r["kind"], r["outcome"]) for r in rows)
    print()
    for key, n in sorted(count.items()):
        print(f"{key[0]:20} {key[1]:9} {key[2]:8} {n:5}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    bad = [r for r in rows if r["outcome"] in ("differs", "panic", "hang")]
    raise SystemExit(1 if bad else 0)


def found(folder):
    """The files to try, with the method that tries them."""
    tables = set()
    for path in sorted(folder.rglob("*.metadata.json")):
        if path.parent.name == "metadata":
            tables.add(path.parent)
    for metadata in sorted(tables):
        yield "table", newest(metadata)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(t.parent in path.parents for t in tables):
            continue
        if path.name.endswith((".parquet", ".parquet.encrypted")):
            yield "parquet", path
        elif path.suffix in (".arrow", ".arrow_file", ".stream") and "fuzz" not in str(path):
            yield "arrow", path
        elif path.suffix == ".json" and "etadata" in path.name and "view" not in path.name.lower() and "udf" not in path.name:
            yield "metadata", path
        elif "fuzz" in str(path) and path.suffix == "" or "-fuzz" in path.parent.name:
            yield "foreign", path


def newest(folder):
    """The metadata file of a table that its writer would call the current one."""
    hint = folder / "version-hint.text"
    files = sorted(folder.glob("*.metadata.json"))
    if hint.exists():
        text = hint.read_text().strip()
        for file in files:
            if file.name.split(".")[0] in (f"v{text}", text) or file.name == f"{text}.metadata.json":
                return file
    return files[-1]


class Trial:
    def __init__(self, floe):
        self.floe = floe

    def run(self, folder, *arguments):
        """(exit code or None for a hang, kind or message)."""
        try:
            done = subprocess.run(
                [self.floe, "--json", "--warehouse", folder / "wh", *arguments],
                capture_output=True, timeout=SECONDS, cwd=folder,
            )
        except subprocess.TimeoutExpired:
            return None, "no end"
        told = ""
        for line in done.stderr.decode(errors="replace").splitlines():
            try:
                fault = json.loads(line)
                fault = fault.get("error", fault)
                told = f"{fault.get('kind')}: {fault.get('message')}"
            except (ValueError, AttributeError):
                told = told or line
        return done.returncode, told[:900]

    def outcome(self, code, told):
        if code is None:
            return "hang", told
        if code in REFUSALS:
            return "refused", told
        return "panic", f"exit {code} {told}"

    def rows_file(self, path, peers):
        """A file of rows: loaded and read back."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            for arguments in (("create", "n.t", "--from", path), ("append", "n.t", path), ("scan", "n.t", "--out", folder / "out.parquet")):
                code, told = self.run(folder, *arguments)
                if code != 0:
                    outcome, told = self.outcome(code, f"{arguments[0]}: {told}")
                    readers = [name for name, read in peers.items() if succeeds(read)]
                    return outcome, f"{told} (read by: {', '.join(readers) or 'none'})"
            return compare(folder / "out.parquet", peers)

    def parquet(self, path):
        return self.rows_file(path, {
            # At nanoseconds, as pyarrow reads INT96 by default, years after 2262 wrap.
            "pyarrow": lambda: pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read(),
            "DuckDB": lambda: duckdb.connect().execute(f"select * from read_parquet('{path}')").to_arrow_table(),
        })

    def arrow(self, path):
        def read():
            with pa.OSFile(str(path)) as source:
                if path.suffix == ".stream":
                    return pa.ipc.open_stream(source).read_all()
                return pa.ipc.open_file(source).read_all()
        return self.rows_file(path, {"pyarrow": read})

    def foreign(self, path):
        """A fuzzed file: any rows, but neither a panic nor a hang."""
        with tempfile.TemporaryDirectory() as temporary:
            code, told = self.run(pathlib.Path(temporary), "create", "n.t", "--from", path)
            return ("equal", "taken") if code == 0 else self.outcome(code, told)

    def table(self, metadata):
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            copy = moved(metadata, folder / "table")
            enter(folder, copy)
            def pyiceberg():
                from pyiceberg.table import StaticTable
                return StaticTable.from_metadata(str(copy)).scan().to_arrow()
            def duck():
                connection = duckdb.connect()
                connection.execute("load iceberg; load avro")
                return connection.execute(f"select * from iceberg_scan('{copy}')").to_arrow_table()
            peers = {"PyIceberg": pyiceberg, "DuckDB": duck}
            code, told = self.run(folder, "scan", "n.t", "--out", folder / "out.parquet")
            if code != 0:
                outcome, told = self.outcome(code, told)
                readers = [name for name, read in peers.items() if succeeds(read)]
                return outcome, f"{told} (read by: {', '.join(readers) or 'none'})"
            return compare(folder / "out.parquet", peers)

    def metadata(self, path):
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            coded = [word for word in (".gz", ".zstd") if word in path.name]
            copy = folder / f"v1{''.join(coded)}.metadata.json"
            shutil.copy(path, copy)
            enter(folder, copy)
            code, told = self.run(folder, "describe", "n.t")
            def pyiceberg():
                from pyiceberg.table import StaticTable
                return StaticTable.from_metadata(str(copy))
            read = "PyIceberg reads it" if succeeds(pyiceberg) else "PyIceberg refuses it"
            return ("equal", read) if code == 0 else self.outcome(code, f"{told} ({read})")


def succeeds(read):
    try:
        read()
        return True
    except BaseException as error:  # pyarrow raises many kinds
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return False


def compare(out, peers):
    """`equal` with the first peer that has the same rows; `differs` when those that read it have others."""
    told = []
    try:
        mine = rows_of(pq.ParquetFile(out).read())
    except pa.ArrowNotImplementedError as error:
        return "unread", f"pyarrow lacks what it takes to compare: {error}"
    except Exception as error:
        return "differs", f"pyarrow cannot read what floe wrote: {error}"
    for name, read in peers.items():
        try:
            theirs = rows_of(read())
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            told.append(f"{name} cannot: {type(error).__name__}")
            continue
        if theirs == mine:
            return "equal", f"{len(mine)} rows as {name}"
        example = next((f"{a} | {b}" for a, b in zip(mine, theirs) if a != b), "")
        told.append(f"{name}: {len(theirs)} rows, floe {len(mine)} {example}"[:400])
    if told and all("cannot" in t for t in told):
        return "equal", f"{len(mine)} rows, no peer reads it; " + "; ".join(told)
    return "differs", "; ".join(told)


def rows_of(table):
    columns = [[plain(scalar) for scalar in column] for column in table.columns]
    return sorted(repr(row) for row in zip(*columns)) if columns else [()] * table.num_rows


UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def plain(scalar):
    """A value without what only its width, its unit or the way to Python makes of it."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.ExtensionScalar) or pa.types.is_dictionary(kind):
        return plain(scalar.value)
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return scalar.value * UNIT[kind.unit]
    if pa.types.is_date32(kind):
        return f"day {scalar.value}"
    if pa.types.is_date64(kind):
        return f"day {scalar.value // 86_400_000}"
    if pa.types.is_map(kind):
        return [tuple(plain(entry[name]) for name in entry) for entry in scalar.values]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [plain(item) for item in scalar.values]
    if pa.types.is_struct(kind):
        return tuple((kind.field(i).name, plain(scalar[i])) for i in range(kind.num_fields))
    value = scalar.as_py()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
        return f"number {decimal.Decimal(value).normalize():f}"
    return value


def moved(metadata, target):
    """A copy of a table whose paths are absolute, with the path of its metadata file."""
    shutil.copytree(metadata.parent.parent, target)
    raw = metadata.read_bytes()
    document = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    root = metadata.parent.parent

    def here(path):
        """The part of a path below the table's folder, by the longest ending that is a file there."""
        parts = path.replace("file:", "").split("/")
        for start in range(len(parts)):
            rest = "/".join(parts[start:])
            if rest and (root / rest).is_file():
                return f"file://{target / rest}"
        return path

    def walk(value):
        if isinstance(value, dict):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v) for v in value]
        if isinstance(value, str) and value.endswith((".avro", ".parquet", ".puffin")):
            return here(value)
        return value

    def relocate(file):
        with open(file, "rb") as source:
            reader = fastavro.reader(source)
            rows = [walk(row) for row in reader]
            meta = {k: v for k, v in reader.metadata.items() if k != "avro.schema" and k != "avro.codec"}
            codec = reader.metadata.get("avro.codec", "null")
            schema = json.loads(reader.metadata["avro.schema"])
        with open(file, "wb") as sink:
            fastavro.writer(sink, schema, rows, codec=codec, metadata=meta)

    for file in target.rglob("*.avro"):
        relocate(file)
    document = walk(document)
    document["location"] = f"file://{target}"
    copy = target / "metadata" / "00000-11111111-2222-3333-4444-555555555555.metadata.json"
    # What a manifest list says of its manifests' lengths is no longer true, and engines that trust it would fail.
    lengths(target)
    copy.write_text(json.dumps(document))
    return copy


def lengths(target):
    for file in target.rglob("*.avro"):
        with open(file, "rb") as source:
            reader = fastavro.reader(source)
            rows = list(reader)
            if not rows or "manifest_path" not in rows[0]:
                continue
            meta = {k: v for k, v in reader.metadata.items() if k != "avro.schema" and k != "avro.codec"}
            codec = reader.metadata.get("avro.codec", "null")
            schema = json.loads(reader.metadata["avro.schema"])
        for row in rows:
            path = pathlib.Path(row["manifest_path"].removeprefix("file://"))
            if path.is_file():
                row["manifest_length"] = path.stat().st_size
        with open(file, "wb") as sink:
            fastavro.writer(sink, schema, rows, codec=codec, metadata=meta)


def enter(folder, metadata):
    """Enters a table in a SQLite catalog, as PyIceberg lays it out."""
    warehouse = folder / "wh"
    warehouse.mkdir()
    with sqlite3.connect(warehouse / "catalog.db") as database:
        database.execute(
            "create table iceberg_tables (catalog_name varchar(255) not null, table_namespace varchar(255) not null,"
            " table_name varchar(255) not null, metadata_location varchar(1000), previous_metadata_location varchar(1000),"
            " iceberg_type varchar(5), primary key (catalog_name, table_namespace, table_name))"
        )
        database.execute(
            "create table iceberg_namespace_properties (catalog_name varchar(255) not null, namespace varchar(255) not null,"
            " property_key varchar(255) not null, property_value varchar(1000) not null,"
            " primary key (catalog_name, namespace, property_key))"
        )
        database.execute("insert into iceberg_namespace_properties values ('default', 'n', 'exists', 'true')")
        database.execute(
            "insert into iceberg_tables values ('default', 'n', 't', ?, null, 'TABLE')", (f"file://{metadata}",)
        )


if __name__ == "__main__":
    main()
