"""PyIceberg's file systems in the transfer cases: python transfer_side.py CASE FOLDER SIDE; prints one JSON object."""

import json
import os
import sys

from side import Watch, peak

SIZE = 1 << 30
PIECE = 1 << 20
PART = 8 << 20


def file_io(side: str):
    properties = {
        "s3.endpoint": os.environ["FLOE_TEST_MINIO_ENDPOINT"],
        "s3.access-key-id": os.environ["FLOE_TEST_MINIO_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["FLOE_TEST_MINIO_SECRET_ACCESS_KEY"],
        "s3.region": "us-east-1",
    }
    if side == "s3fs":
        from pyiceberg.io.fsspec import FsspecFileIO

        return FsspecFileIO(properties)
    from pyiceberg.io.pyarrow import PyArrowFileIO

    return PyArrowFileIO(properties)


def upload(io, location: str) -> None:
    piece = os.urandom(PIECE)
    with io.new_output(location).create(overwrite=True) as stream:
        for _ in range(SIZE // PIECE):
            stream.write(piece)


def download(io, location: str) -> None:
    total = 0
    with io.new_input(location).open() as stream:
        while piece := stream.read(PART):
            total += len(piece)
    assert total == SIZE, total


def main() -> None:
    case, _, side = sys.argv[1:]
    io = file_io(side)
    location = f"s3://{os.environ['FLOE_TEST_MINIO_BUCKET']}/bench/{side}"
    watch = Watch()
    {"upload": upload, "download": download}[case](io, location)
    print(json.dumps({**watch.stop(), "peak_rss_bytes": peak()}))


if __name__ == "__main__":
    main()
