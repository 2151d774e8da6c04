"""delta-rs' side of the benchmarks: python deltalake_side.py CASE FOLDER; prints one JSON object."""

import shutil
import sys
from pathlib import Path

from deltalake import DeltaTable, write_deltalake

from side import Watch, main, read_input, read_source


def place(folder: Path, name: str) -> str:
    return str(folder / "deltalake" / name)


def prepare(folder: Path, case: str) -> None:
    shutil.rmtree(place(folder, case), ignore_errors=True)
    data = read_input(folder)
    data = data.slice(0, 10) if case == "writers" else data
    write_deltalake(place(folder, case), data, partition_by=["part"] if case.startswith("overwrite") else None)


def append(folder: Path, partitioned: bool) -> dict:
    data = read_input(folder)
    path = place(folder, "partitioned" if partitioned else "plain")
    shutil.rmtree(path, ignore_errors=True)
    start = Watch()
    write_deltalake(path, data, partition_by=["part"] if partitioned else None)
    return start.stop()


def commits(folder: Path) -> dict:
    data = read_input(folder).slice(0, 10)
    path = place(folder, "commits")
    shutil.rmtree(path, ignore_errors=True)
    write_deltalake(path, data)
    table = DeltaTable(path)
    start = Watch()
    for _ in range(100):
        write_deltalake(table, data, mode="append")
    return start.stop(100)


def upsert(folder: Path, case: str) -> dict:
    source = read_source(folder, case)
    table = DeltaTable(place(folder, case))
    start = Watch()
    merge = table.merge(source, "target.id = source.id", source_alias="source", target_alias="target")
    result = merge.when_matched_update_all().when_not_matched_insert_all().execute()
    took = start.stop()
    print(f"deltalake {case}: {result}", file=sys.stderr)
    return took


def delete(folder: Path, case: str) -> dict:
    table = DeltaTable(place(folder, case))
    start = Watch()
    table.delete("value < 0.01")
    return start.stop()


def overwrite(folder: Path, case: str, condition: str) -> dict:
    source = read_source(folder, case)
    table = DeltaTable(place(folder, case))
    start = Watch()
    write_deltalake(table, source, mode="overwrite", predicate=condition)
    return start.stop()


def write(folder: Path):
    """One of several writers: gives what commits once."""
    data = read_input(folder).slice(0, 10)
    path = place(folder, "writers")
    return lambda: write_deltalake(path, data, mode="append")


CASES = {
    "append": lambda folder, case: append(folder, False),
    "partitions": lambda folder, case: append(folder, True),
    "commits": lambda folder, case: commits(folder),
    "upsert-1k": upsert,
    "upsert-10k": upsert,
    "upsert-100k": upsert,
    "delete-1pct": delete,
    "overwrite-category": lambda folder, case: overwrite(folder, case, "category = 'category-03'"),
    "overwrite-partition": lambda folder, case: overwrite(folder, case, "part = 7"),
}

if __name__ == "__main__":
    main(CASES, prepare, write)
