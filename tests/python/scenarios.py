"""Tables that PyIceberg makes: each scenario is a function that leaves a table behind."""

import datetime as dt
import decimal
import math
import random
import uuid

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from peers import catalog

PRIMITIVES = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "c_boolean", BooleanType(), required=False),
    NestedField(3, "c_int", IntegerType(), required=False),
    NestedField(4, "c_float", FloatType(), required=False),
    NestedField(5, "c_double", DoubleType(), required=False),
    NestedField(6, "c_decimal9", DecimalType(9, 2), required=False),
    NestedField(7, "c_decimal18", DecimalType(18, 6), required=False),
    NestedField(8, "c_decimal38", DecimalType(38, 10), required=False),
    NestedField(9, "c_date", DateType(), required=False),
    NestedField(10, "c_time", TimeType(), required=False),
    NestedField(11, "c_ts", TimestampType(), required=False),
    NestedField(12, "c_tstz", TimestamptzType(), required=False),
    NestedField(13, "c_string", StringType(), required=False),
    NestedField(14, "c_uuid", UUIDType(), required=False),
    NestedField(15, "c_fixed", FixedType(4), required=False),
    NestedField(16, "c_binary", BinaryType(), required=False),
)

STRINGS = ["", "a", "é/日本 %&=", "x" * 64, "x" * 65, "x" * 64 + "zz", "\U0010ffff" * 20, "line\nbreak", "null", "ÿ" * 70]


def primitive_rows(count: int, seed: int, first: int = 0, longest: int = 1000) -> pa.Table:
    rng = random.Random(seed)
    strings = [s for s in STRINGS if len(s) <= longest]
    epoch = dt.datetime(1970, 1, 1)

    def maybe(value):
        return None if rng.random() < 0.15 else value

    rows = []
    for n in range(first, first + count):
        instant = epoch + dt.timedelta(microseconds=rng.randrange(-(10**16), 3 * 10**15))
        rows.append(
            {
                "id": n,
                "c_boolean": maybe(rng.random() < 0.5),
                "c_int": maybe(rng.choice([-(2**31), -1, 0, 1, 2**31 - 1, rng.randrange(-1000, 1000)])),
                "c_float": maybe(rng.choice([0.0, -0.0, math.nan, math.inf, -math.inf, 1.5, -2.25])),
                "c_double": maybe(rng.choice([0.0, -0.0, math.nan, math.inf, -math.inf, rng.uniform(-1e6, 1e6)])),
                "c_decimal9": maybe(decimal.Decimal(rng.randrange(-(10**9) + 1, 10**9)).scaleb(-2)),
                "c_decimal18": maybe(decimal.Decimal(rng.randrange(-(10**18) + 1, 10**18)).scaleb(-6)),
                "c_decimal38": maybe(decimal.Context(prec=60).scaleb(decimal.Decimal(rng.randrange(-(10**38) + 1, 10**38)), -10)),
                "c_date": maybe(instant.date()),
                "c_time": maybe(instant.time()),
                "c_ts": maybe(instant),
                "c_tstz": maybe(instant.replace(tzinfo=dt.timezone.utc)),
                "c_string": maybe(rng.choice(strings)),
                "c_uuid": maybe(uuid.UUID(int=rng.getrandbits(128)).bytes),
                "c_fixed": maybe(rng.randbytes(4)),
                "c_binary": maybe(rng.choice([b"", b"\x00", b"\xff" * 70, rng.randbytes(9)])),
            }
        )
    types = {f.name: f.type for f in PRIMITIVES.as_arrow()}
    types["c_uuid"] = pa.binary(16)
    fields = [pa.field(n, t, nullable=n != "id") for n, t in types.items()]
    table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
    wanted = PRIMITIVES.as_arrow().field("c_uuid").type
    if isinstance(wanted, pa.BaseExtensionType):
        chunks = [pa.ExtensionArray.from_storage(wanted, c) for c in table.column("c_uuid").chunks]
        table = table.set_column(table.column_names.index("c_uuid"), "c_uuid", pa.chunked_array(chunks, wanted))
    return table


def spec(*fields) -> PartitionSpec:
    return PartitionSpec(
        *(PartitionField(source, 1000 + i, transform, name) for i, (source, transform, name) in enumerate(fields))
    )


SPECS = {
    "none": PartitionSpec(),
    "identity_string": spec((13, IdentityTransform(), "c_string")),
    "identity_int": spec((3, IdentityTransform(), "c_int")),
    "identity_date": spec((9, IdentityTransform(), "c_date")),
    "year_ts": spec((11, YearTransform(), "ts_year")),
    "month_tstz": spec((12, MonthTransform(), "tstz_month")),
    "year_date": spec((9, YearTransform(), "date_year")),
    "year_ts_bucket": spec((11, YearTransform(), "ts_year"), (1, BucketTransform(4), "id_bucket")),
    "bucket_string": spec((13, BucketTransform(5), "string_bucket")),
    "truncate_string": spec((13, TruncateTransform(2), "string_trunc")),
    "truncate_long": spec((1, TruncateTransform(10), "id_trunc")),
    "truncate_decimal": spec((6, TruncateTransform(1000000), "decimal_trunc")),
}


def primitives(command: dict):
    """Two appends of all primitive types into a table with the partition spec `spec`."""
    table = command["catalog"].create_table(
        command["table"], PRIMITIVES, partition_spec=SPECS[command.get("spec", "none")], properties=command.get("properties", {})
    )
    # PyIceberg puts the whole value into a folder's name, which may have 255 bytes.
    longest = 20 if command.get("spec") == "identity_string" else 1000
    table.append(primitive_rows(60, seed=1, longest=longest))
    table.append(primitive_rows(40, seed=2, first=60, longest=longest))
    return table


def hourly(command: dict):
    """Rows within two days, by hour and by day."""
    schema = Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(2, "ts", TimestampType(), required=False),
        NestedField(3, "at", TimestamptzType(), required=False),
    )
    hours = spec((2, HourTransform(), "ts_hour"), (3, DayTransform(), "at_day"))
    table = command["catalog"].create_table(command["table"], schema, partition_spec=hours)
    start = dt.datetime(1969, 12, 31, 1)
    rows = [
        {
            "id": n,
            "ts": None if n % 7 == 0 else start + dt.timedelta(minutes=29 * n),
            "at": None if n % 11 == 0 else (start + dt.timedelta(minutes=31 * n)).replace(tzinfo=dt.timezone.utc),
        }
        for n in range(90)
    ]
    table.append(pa.Table.from_pylist(rows, schema=table.schema().as_arrow()))
    return table


def nested(command: dict):
    """Structs, lists and maps, in one another."""
    schema = Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(
            2,
            "place",
            StructType(
                NestedField(3, "name", StringType(), required=False),
                NestedField(4, "height", DoubleType(), required=False),
            ),
            required=False,
        ),
        NestedField(5, "tags", ListType(6, StringType(), element_required=False), required=False),
        NestedField(7, "counts", MapType(8, StringType(), 9, LongType(), value_required=False), required=False),
        NestedField(
            10,
            "legs",
            ListType(11, StructType(NestedField(12, "to", StringType(), required=False)), element_required=False),
            required=False,
        ),
    )
    rows = [
        {"id": 0, "place": {"name": "é", "height": 1.5}, "tags": ["a", None, ""], "counts": [("k", 1), ("", None)], "legs": [{"to": "x"}]},
        {"id": 1, "place": None, "tags": [], "counts": [], "legs": []},
        {"id": 2, "place": {"name": None, "height": None}, "tags": None, "counts": None, "legs": None},
        {"id": 3, "place": {"name": "", "height": -0.0}, "tags": ["z" * 80], "counts": [("日本", 2)], "legs": [{"to": None}, None]},
    ]
    table = command["catalog"].create_table(command["table"], schema)
    table.append(pa.Table.from_pylist(rows, schema=table.schema().as_arrow()))
    return table


def evolved(command: dict):
    """Appends before and after: columns added, renamed, widened, dropped, moved."""
    schema = Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(2, "small", IntegerType(), required=False),
        NestedField(3, "ratio", FloatType(), required=False),
        NestedField(4, "price", DecimalType(9, 2), required=False),
        NestedField(5, "old", StringType(), required=False),
        NestedField(6, "gone", StringType(), required=False),
    )
    table = command["catalog"].create_table(command["table"], schema)

    def rows(first, renamed):
        result = []
        for n in range(first, first + 20):
            row = {"id": n, "small": n, "ratio": n / 4, "price": decimal.Decimal(n).scaleb(-2)}
            row["new" if renamed else "old"] = None if n % 5 == 0 else f"text {n}"
            if renamed:
                row["added"] = f"added {n}"
            else:
                row["gone"] = "gone"
            result.append(row)
        return result

    table.append(pa.Table.from_pylist(rows(0, False), schema=table.schema().as_arrow()))
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.add_column("added", StringType())
        update.rename_column("old", "new")
        update.update_column("small", LongType())
        update.update_column("ratio", DoubleType())
        update.update_column("price", DecimalType(18, 2))
        update.delete_column("gone")
        update.move_first("added")
    table.append(pa.Table.from_pylist(rows(20, True), schema=table.schema().as_arrow()))
    return table


def respecified(command: dict):
    """The partition spec changes between two appends."""
    table = command["catalog"].create_table(command["table"], PRIMITIVES, partition_spec=SPECS["year_ts"])
    table.append(primitive_rows(30, seed=3))
    with table.update_spec() as update:
        update.remove_field("ts_year")
        update.add_field("c_string", BucketTransform(3), "string_bucket")
    table.append(primitive_rows(30, seed=4, first=30))
    return table


def deleted(command: dict):
    """Rows deleted copy-on-write, and others overwritten."""
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

    table = primitives(command)
    table.delete("id >= 10 and id < 25")
    table.overwrite(primitive_rows(5, seed=5, first=1000), overwrite_filter=And(GreaterThanOrEqual("id", 70), LessThan("id", 75)))
    return table


def version_1(command: dict):
    """A table of format version 1 with a tag and a branch, and with a partition field that was dropped."""
    schema = Schema(NestedField(1, "id", LongType(), required=False), NestedField(2, "part", StringType(), required=False))
    table = command["catalog"].create_table(
        command["table"], schema, partition_spec=spec((2, IdentityTransform(), "part")), properties={"format-version": "1"}
    )
    rows = lambda *ids: pa.table({"id": pa.array(ids, pa.int64()), "part": pa.array(["a"] * len(ids))})
    table.append(rows(1, 2))
    first = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_tag(first, "first").create_branch(first, "audit").commit()
    table.append(rows(3))
    with table.update_spec() as update:
        update.remove_field("part")
    table.append(rows(4))
    return table


def referenced(command: dict):
    """A table of any format version with two snapshots, a tag, a branch that is one ahead, and a staged snapshot."""
    schema = Schema(
        NestedField(1, "id", LongType(), required=True, doc="the key"),
        NestedField(2, "part", StringType(), required=False),
        NestedField(3, "v", IntegerType(), required=False),
    )
    properties = {
        "format-version": command["version"],
        "schema.name-mapping.default": command["mapping"],
        "write.metadata.metrics.column.v": "counts",
    }
    partitions = spec((2, IdentityTransform(), "part"))
    table = command["catalog"].create_table(command["table"], schema, partition_spec=partitions, properties=properties)

    def append(row, **options):
        rows = [{"id": id, "part": "a", "v": row} for id in (row, 10 * row + 1)]
        table.append(pa.Table.from_pylist(rows, schema=schema.as_arrow()), **options)

    append(1)
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "first", max_ref_age_ms=777_600_000).commit()
    append(2)
    second = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_branch(second, "audit", min_snapshots_to_keep=3).commit()
    append(3, branch="audit")
    append(4, snapshot_properties={"wap.id": "w"})
    table.manage_snapshots().set_current_snapshot(second).commit()
    return table


SCENARIOS = {f.__name__: f for f in (primitives, hourly, nested, evolved, respecified, deleted, version_1, referenced)}


def run(command: dict) -> dict:
    command["catalog"] = catalog(command["uri"], warehouse=command["warehouse"])
    command["catalog"].create_namespace_if_not_exists(command["table"].split(".")[0])
    table = SCENARIOS[command["name"]](command)
    return {"metadata_location": table.metadata_location, "snapshots": [s.snapshot_id for s in table.snapshots()]}
