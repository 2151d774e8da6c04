"""What the sides in Python share: reading the data, and saying what was measured."""

import json
import resource
import sys
import time
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


class Watch:
    """Measures time on the clock and of all processors."""

    def __init__(self):
        self.clock, self.cpu = time.perf_counter(), time.process_time()

    def stop(self, count: int = 1) -> dict:
        clock, cpu = time.perf_counter() - self.clock, time.process_time() - self.cpu
        return {"seconds": clock / count, "cpu_seconds": cpu / count}


def main(cases, prepare, write) -> None:
    """Runs what the command line asks for: a case, its preparation, or one of several writers."""
    case, folder, *options = sys.argv[1:]
    folder = Path(folder)
    if "--writer" in options:
        commit = write(folder)
        print("ready", flush=True)
        sys.stdin.readline()
        watch = Watch()
        failed = 0
        for _ in range(COMMITS):
            try:
                commit()
            except Exception as error:
                print(f"a commit failed: {type(error).__name__}", file=sys.stderr)
                failed += 1
        print(failed, peak(), watch.stop()["cpu_seconds"], flush=True)
        return
    if "--prepare" in options:
        prepare(folder, case)
        took = {"seconds": 0.0, "cpu_seconds": 0.0}
    else:
        took = cases[case](folder, case)
    print(json.dumps({**took, "peak_rss_bytes": peak()}))
