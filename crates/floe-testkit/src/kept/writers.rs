//! How others write the same metadata.

use serde_json::{Map, Value, json};

/// A number that no program keeps that reads numbers into 64 bits; [`Writer::text`] writes it for [`NUMBER_MARK`].
const NUMBER: &str = "12345678901234567890123.4500";
const NUMBER_MARK: &str = "a number of 27 digits";

/// Whose hand a document is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Java's library, which Spark, Flink and Trino use.
    Java,
    /// PyIceberg.
    PyIceberg,
    /// The library for Go.
    Go,
    /// Nobody's: with fields that nobody knows, and texts as JSON allows them.
    Hand,
}

/// All of them.
pub const WRITERS: [Writer; 4] = [Writer::Java, Writer::PyIceberg, Writer::Go, Writer::Hand];

/// The order in which Java writes the fields.
const JAVA: [&str; 24] = [
    "format-version",
    "table-uuid",
    "location",
    "last-sequence-number",
    "last-updated-ms",
    "last-column-id",
    "schema",
    "current-schema-id",
    "schemas",
    "partition-spec",
    "default-spec-id",
    "partition-specs",
    "last-partition-id",
    "default-sort-order-id",
    "sort-orders",
    "properties",
    "current-snapshot-id",
    "next-row-id",
    "refs",
    "snapshots",
    "statistics",
    "partition-statistics",
    "snapshot-log",
    "metadata-log",
];

/// PyIceberg's order: the version comes late.
const PYICEBERG: [&str; 24] = [
    "location",
    "table-uuid",
    "last-updated-ms",
    "last-column-id",
    "schemas",
    "current-schema-id",
    "partition-specs",
    "default-spec-id",
    "last-partition-id",
    "properties",
    "current-snapshot-id",
    "snapshots",
    "snapshot-log",
    "metadata-log",
    "sort-orders",
    "default-sort-order-id",
    "refs",
    "statistics",
    "partition-statistics",
    "schema",
    "partition-spec",
    "format-version",
    "last-sequence-number",
    "next-row-id",
];

/// Go's order.
const GO: [&str; 24] = [
    "last-sequence-number",
    "format-version",
    "table-uuid",
    "location",
    "last-updated-ms",
    "last-column-id",
    "schemas",
    "current-schema-id",
    "partition-specs",
    "default-spec-id",
    "last-partition-id",
    "properties",
    "snapshots",
    "current-snapshot-id",
    "snapshot-log",
    "metadata-log",
    "sort-orders",
    "default-sort-order-id",
    "refs",
    "statistics",
    "partition-statistics",
    "schema",
    "partition-spec",
    "next-row-id",
];

impl Writer {
    /// Whether the text is kept as gzip.
    #[must_use]
    pub fn compresses(self) -> bool {
        self == Self::Java
    }

    /// Changes metadata to what this writer would have written for the same table.
    pub fn dress(self, metadata: &mut Value) {
        match self {
            Self::Java => java(metadata),
            Self::PyIceberg => pyiceberg(metadata),
            Self::Go => go(metadata),
            Self::Hand => {
                super::strew(metadata);
                metadata["x-number"] = NUMBER_MARK.into();
                metadata["snapshots"][0]["x-number"] = NUMBER_MARK.into();
                metadata["schemas"][0]["x-number"] = NUMBER_MARK.into();
            }
        }
    }

    /// The text of metadata that is dressed.
    ///
    /// # Panics
    ///
    /// When the value is no object.
    #[must_use]
    pub fn text(self, metadata: &Value) -> String {
        let text = match self {
            Self::Java => ordered(metadata, &JAVA),
            Self::PyIceberg => ordered(metadata, &PYICEBERG),
            Self::Go => ordered(metadata, &GO),
            Self::Hand => {
                let indented = serde_json::to_string_pretty(metadata).unwrap_or_default();
                indented.replace('\n', "\r\n").replace("\"x-odd\": {", "\t\"x-\\u006fdd\"  :{")
            }
        };
        text.replace(&format!("\"{NUMBER_MARK}\""), NUMBER)
    }
}

/// A text of metadata as a value, in which a number of [`Writer::text`] is told from every other.
///
/// # Errors
///
/// When the text is not JSON.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&text.replace(NUMBER, &format!("\"{NUMBER_MARK}\"")))
}

/// The fields of an object in an order; those that it does not name come last.
fn ordered(metadata: &Value, order: &[&str]) -> String {
    let fields = metadata.as_object().expect("metadata is an object");
    let rest = fields.keys().map(String::as_str).filter(|name| !order.contains(name));
    let names = order.iter().copied().chain(rest).filter(|name| fields.contains_key(*name));
    let parts: Vec<String> = names.map(|name| format!("{}:{}", json!(name), fields[name])).collect();
    format!("{{{}}}", parts.join(","))
}

fn snapshots(metadata: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    metadata["snapshots"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Statistics of both kinds, and summaries that tell of the engine.
fn java(metadata: &mut Value) {
    metadata["properties"]["write.metadata.compression-codec"] = "gzip".into();
    metadata["properties"]["created-at"] = "2024-05-01T00:00:00Z".into();
    let first = metadata["snapshots"][0]["snapshot-id"].clone();
    metadata["statistics"] = json!([{
        "snapshot-id": first, "statistics-path": "s3://elsewhere/s.puffin", "file-size-in-bytes": 413,
        "file-footer-size-in-bytes": 42,
        "blob-metadata": [{
            "type": "apache-datasketches-theta-v1", "snapshot-id": first, "sequence-number": 1, "fields": [1],
            "properties": {"ndv": "3"},
        }],
    }]);
    metadata["partition-statistics"] = json!([{"snapshot-id": first, "statistics-path": "s3://elsewhere/p.parquet", "file-size-in-bytes": 43}]);
    for snapshot in snapshots(metadata) {
        let summary = &mut snapshot["summary"];
        for (key, value) in [
            ("spark.app.id", "local-1714564800000"),
            ("engine-name", "spark"),
            ("engine-version", "4.0.1"),
            ("iceberg-version", "Apache Iceberg 1.10.0 (commit 2114bf6)"),
            ("changed-partition-count", "1"),
        ] {
            summary[key] = value.into();
        }
    }
    if metadata["format-version"] == 3 {
        metadata["encryption-keys"] = json!([]);
    }
}

/// Every list is there, and a summary names no engine.
fn pyiceberg(metadata: &mut Value) {
    metadata["statistics"] = json!([]);
    metadata["partition-statistics"] = json!([]);
    metadata["properties"]["write.parquet.compression-codec"] = "zstd".into();
    for snapshot in snapshots(metadata) {
        if let Some(summary) = snapshot["summary"].as_object_mut() {
            summary.remove("engine-name");
            summary.remove("engine-version");
            summary.remove("floe-version");
        }
    }
}

/// A sort order; no snapshot names its schema, and in version 1 each has the sequence number 0.
fn go(metadata: &mut Value) {
    let first = metadata["format-version"] == 1;
    for snapshot in snapshots(metadata) {
        if first {
            snapshot.insert("sequence-number".into(), 0.into());
        }
        snapshot.remove("schema-id");
    }
    metadata["sort-orders"] = json!([
        {"order-id": 0, "fields": []},
        {"order-id": 1, "fields": [
            {"source-id": 1, "transform": "identity", "direction": "asc", "null-order": "nulls-first"},
            {"source-id": 2, "transform": "bucket[4]", "direction": "desc", "null-order": "nulls-last"},
        ]},
    ]);
    metadata["default-sort-order-id"] = 1.into();
}
