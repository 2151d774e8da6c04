//! Table metadata files: reading, writing, naming, and applying updates to them.
//!
//! For catalogs that keep a pointer to a metadata file and swap it (Iceberg spec, "File System Operations"
//! and "Metastore Tables"): SQL, Glue, memory. A REST catalog does this on its own side.

mod build;
mod cache;
mod lenient;
mod pointed;
mod references;
mod sweep;
mod text;

use std::io::Write;

use bytes::Bytes;
use iceberg::io::FileIO;
use iceberg::spec::{FormatVersion, TableMetadata};
use iceberg::{TableCreation, TableIdent, TableRequirement, TableUpdate};
use uuid::Uuid;

pub use build::updated;
pub use cache::MetadataCache;
pub use lenient::{UNKNOWN_OPERATION, transform};
pub use pointed::{PointedFiles, Written};
pub use references::references;
pub use sweep::{Stays, may_sweep};
pub use text::MetadataText;

use crate::guard::Guard;
use crate::limits::{self, Limits, beyond, read_bounded};
use crate::schema::{check_change, check_schema};
use crate::{Error, ErrorKind, Result};

/// The property with which a table may keep its metadata elsewhere than in `<location>/metadata`.
pub const METADATA_PATH: &str = "write.metadata.path";
/// The property that says how metadata files are compressed: `none` (default) or `gzip`.
pub const METADATA_COMPRESSION: &str = "write.metadata.compression-codec";

/// Reads a metadata file, gzip or plain.
///
/// Fails as [`parse`] does, and with `FileNotFound` when it is not there.
pub async fn read(file_io: &FileIO, location: &str) -> Result<TableMetadata> {
    parse(&read_text(file_io, location).await?, location)
}

/// Writes the metadata file of a new table, at a new location; see [`next_location`]. Never overwrites one.
///
/// Not for a version after another: what the model lacks would be lost, see [`MetadataCache::write_next`].
pub async fn write(file_io: &FileIO, location: &str, metadata: &TableMetadata) -> Result<()> {
    write_text(file_io, location, MetadataText::new(metadata)?.json()).await
}

/// The transform of a field of a partition spec, as the metadata file at `location` has it: for messages about one that is
/// not known, which the model does not name. `None` where that cannot be read.
pub async fn transform_at(file_io: &FileIO, location: &str, spec_id: i32, field_id: i32) -> Option<String> {
    lenient::written_transform(&read_text(file_io, location).await.ok()?, spec_id, field_id)
}

async fn read_text(file_io: &FileIO, location: &str) -> Result<Bytes> {
    let bytes = file_io.new_input(location)?.read().await?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    unpacked(&bytes, location, &limits::current())
}

/// The text of a metadata file that is packed by gzip. Refuses one that unfolds to more than the limits allow, as soon as it
/// does.
fn unpacked(bytes: &[u8], location: &str, limits: &Limits) -> Result<Bytes> {
    let most = limits.unfolded(bytes.len());
    let mut text = Vec::new();
    let fits = read_bounded(flate2::read::GzDecoder::new(bytes), most, &mut text)
        .map_err(|e| lenient::corrupted(location, &format!("broken gzip: {e}")))?;
    if !fits {
        let setting = limits.unfolded_by(bytes.len());
        return Err(lenient::corrupted(location, &beyond("it unfolds to", setting, most))
            .with_hint(limits::hint(setting)));
    }
    Ok(text.into())
}

/// The table metadata in `json`, which came from `location`: all that is valid by the specification, whoever wrote it.
///
/// What the crate's model cannot represent is put in a form that it can: a partition transform that is not known is
/// [`Transform::Unknown`](iceberg::spec::Transform::Unknown), a summary that names no operation says
/// [`UNKNOWN_OPERATION`]. Writing the metadata would lose it: a commit changes the text that was read, see
/// [`MetadataText`].
///
/// Fails with `Unsupported`, naming it, for what floe cannot leave aside: another format version, a type of a column,
/// snapshots without a manifest list. With `Corrupted`, naming the place, for what is no valid table metadata.
pub fn parse(json: &[u8], location: &str) -> Result<TableMetadata> {
    let metadata =
        Guard::new("the reader of table metadata", location).call(|| lenient::parse(json, location))?;
    check_counters(&metadata, location)?;
    Ok(metadata)
}

/// `Corrupted` where a number that the next commit counts on from has no next one: it would begin anew below zero, and
/// what is old would be taken for new.
fn check_counters(metadata: &TableMetadata, location: &str) -> Result<()> {
    let ended = [
        ("last-sequence-number", !(0..i64::MAX).contains(&metadata.last_sequence_number())),
        ("last-column-id", metadata.last_column_id() == i32::MAX),
        ("last-partition-id", metadata.last_partition_id() == i32::MAX),
        ("next-row-id", metadata.next_row_id() > i64::MAX as u64),
    ];
    match ended.iter().find(|(_, ended)| *ended) {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(
            ErrorKind::Corrupted,
            format!("metadata {location}: `{name}` is no number that a table comes to"),
        )
        .with_hint("register a metadata file from before it was damaged")),
    }
}

async fn write_text(file_io: &FileIO, location: &str, json: &Bytes) -> Result<()> {
    let bytes = if location.ends_with(".gz.metadata.json") {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(json)?;
        encoder.finish()?.into()
    } else {
        json.clone()
    };
    Ok(file_io.new_output(location)?.write(bytes).await?)
}

/// Where the metadata of a table goes next: `<location>/metadata/<version>-<uuid>.metadata.json`, with the
/// version one above that of `previous`.
pub fn next_location(metadata: &TableMetadata, previous: Option<&str>) -> Result<String> {
    next_location_with(metadata, previous, Uuid::new_v4())
}

/// As [`next_location`], with the UUID given: for runs that must repeat themselves. Never give one twice.
pub fn next_location_with(metadata: &TableMetadata, previous: Option<&str>, uuid: Uuid) -> Result<String> {
    let version = previous.map_or(0, |p| version_of(p).saturating_add(1));
    let folder = match metadata.properties().get(METADATA_PATH) {
        Some(path) => path.trim_end_matches('/').to_owned(),
        None => format!("{}/metadata", metadata.location().trim_end_matches('/')),
    };
    let suffix = match metadata.properties().get(METADATA_COMPRESSION).map(|c| c.to_lowercase()).as_deref() {
        None | Some("none") => "",
        Some("gzip") => ".gz",
        Some(other) => {
            return Err(Error::validation(format!("{METADATA_COMPRESSION} cannot be '{other}'"))
                .with_hint("none or gzip"));
        }
    };
    Ok(format!("{folder}/{version:05}-{uuid}{suffix}.metadata.json"))
}

/// The metadata of a new table. Fails with `Validation` for a schema that no table can have, see
/// [`check_schema`].
pub fn create(creation: TableCreation) -> Result<TableMetadata> {
    let built = iceberg::spec::TableMetadataBuilder::from_table_creation(creation)?.build()?;
    check_schema(built.metadata.current_schema(), built.metadata.format_version())?;
    Ok(built.metadata)
}

/// Checks `requirements` against the head of a table and applies `updates` to it.
///
/// Fails with `CommitConflict` when a requirement does not hold, `Validation` when an update does not fit.
pub fn apply(
    table: &TableIdent,
    head: &TableMetadata,
    head_location: &str,
    requirements: &[TableRequirement],
    updates: &[TableUpdate],
) -> Result<TableMetadata> {
    for requirement in requirements {
        requirement.check(Some(head)).map_err(|e| {
            Error::new(ErrorKind::CommitConflict, e.message().to_owned()).with_table(table).with_source(e)
        })?;
    }
    let mut version = head.format_version();
    for update in updates {
        if let TableUpdate::UpgradeFormatVersion { format_version } = update {
            version = version.max(*format_version);
        }
        if let TableUpdate::AddSchema { schema } = update {
            check_change(head.current_schema(), schema, version).map_err(|e| e.with_table(table))?;
        }
    }
    // A staged snapshot takes a sequence number and moves no branch, so that no requirement fails.
    let late = |update: &TableUpdate| match update {
        TableUpdate::AddSnapshot { snapshot } => {
            head.format_version() != FormatVersion::V1
                && snapshot.sequence_number() <= head.last_sequence_number()
        }
        _ => false,
    };
    if updates.iter().any(late) {
        let why = "another commit has taken the sequence number of the snapshot";
        return Err(Error::new(ErrorKind::CommitConflict, why).with_table(table));
    }
    updated(head, Some(head_location), updates).map_err(|e| e.with_table(table))
}

/// The version in a metadata file's name: `00012-<uuid>.metadata.json` of most writers, `v12.metadata.json`
/// of Hadoop tables; 0 where there is none.
fn version_of(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or(location);
    let name = name.strip_prefix('v').unwrap_or(name);
    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    name[..digits].parse().unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn packed(length: usize) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..length >> 20 {
            encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_unfolds_within_its_limits_only() {
        let limits = Limits::default();
        // Small text may be packed as tightly as it likes.
        assert_eq!(unpacked(&packed(8 << 20), "t", &limits).unwrap().len(), 8 << 20);
        let bomb = packed(64 << 20);
        let error = unpacked(&bomb, "t.gz.metadata.json", &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.message().contains("t.gz.metadata.json"), "{error}");
        assert!(error.message().contains("`limits.metadata-ratio`"), "{error}");
        // Whoever has such files raises one limit, or lowers another.
        let raised = Limits { metadata_ratio: 2000, ..Limits::default() };
        assert_eq!(unpacked(&bomb, "t", &raised).unwrap().len(), 64 << 20);
        let small = Limits { metadata_bytes: 32 << 20, ..raised };
        let error = unpacked(&bomb, "t", &small).unwrap_err();
        assert!(error.message().contains("`limits.metadata-bytes`"), "{error}");
    }

    #[test]
    fn counters_that_have_come_to_their_end_are_damage() {
        let field = iceberg::spec::NestedField::required(
            1,
            "id",
            iceberg::spec::Type::Primitive(iceberg::spec::PrimitiveType::Long),
        );
        let schema = iceberg::spec::Schema::builder().with_fields(vec![field.into()]).build().unwrap();
        let creation = TableCreation::builder().name("t".into()).location("file:///t".into()).schema(schema);
        let json = serde_json::to_value(create(creation.build()).unwrap()).unwrap();
        let parsed = |name: &str, value: i64| {
            let mut json = json.clone();
            json[name] = value.into();
            parse(json.to_string().as_bytes(), "m.json")
        };
        for (name, last) in [
            ("last-sequence-number", i64::MAX),
            ("last-column-id", i32::MAX.into()),
            ("last-partition-id", i32::MAX.into()),
        ] {
            let error = parsed(name, last).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{name}: {error}");
            assert!(error.to_string().contains(name), "{error}");
            parsed(name, last - 1).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        assert_eq!(parsed("last-sequence-number", -1).unwrap_err().kind(), ErrorKind::Corrupted);
    }

    #[test]
    fn the_version_after_the_last_one_is_the_last_one() {
        let name = format!("{}-a.metadata.json", u64::MAX);
        assert_eq!(version_of(&name).saturating_add(1), u64::MAX);
    }

    #[test]
    fn versions_of_all_writers() {
        assert_eq!(version_of("file:///t/metadata/00012-8e5f.metadata.json"), 12);
        assert_eq!(version_of("s3://b/t/metadata/v7.metadata.json"), 7);
        assert_eq!(version_of("s3://b/t/metadata/v7.gz.metadata.json"), 7);
        assert_eq!(version_of("odd.json"), 0);
    }
}
