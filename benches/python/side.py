"""What the sides in Python share: reading the data, and saying what was measured."""

import json
import resource
import sys
from pathlib import Path

import pyarrow as pa

COMMITS = 10


def read_input(folder: Path) -> pa.Table:
    return read_source(folder, "input")


def read_source(folder: Path, name: str) -> pa.Table:
    with pa.memory_map(str(folder / f"{name}.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(cases, prepare, write) -> None:
    """Runs what the command line asks for: a case, its preparation, or one of several writers."""
    case, folder, *options = sys.argv[1:]
    folder = Path(folder)
    if "--writer" in options:
        commit = write(folder)
        print("ready", flush=True)
        sys.stdin.readline()
        failed = 0
        for _ in range(COMMITS):
            try:
                commit()
            except Exception as error:
                print(f"a commit failed: {type(error).__name__}", file=sys.stderr)
                failed += 1
        print(failed, peak(), flush=True)
        return
    seconds = prepare(folder, case) if "--prepare" in options else cases[case](folder, case)
    print(json.dumps({"seconds": seconds or 0.0, "peak_rss_bytes": peak()}))
