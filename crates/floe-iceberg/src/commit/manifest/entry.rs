//! Entries of manifests (Iceberg spec, "Manifest Entry Fields" and "Data File Fields").

use std::collections::HashMap;
use std::hash::BuildHasher;

use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{DataFile, Datum, FormatVersion, ManifestStatus, Struct, StructType, Type};

use super::value;
use crate::commit::avro::{bytes, long, optional};

/// What version 1 wants to know and nobody reads.
const BLOCK_SIZE: i64 = 64 * 1024 * 1024;

/// A file as a manifest lists it.
#[derive(Debug, Clone, Copy)]
pub(in crate::commit) struct ManifestEntry<'a> {
    pub(in crate::commit) status: ManifestStatus,
    /// The snapshot that added the file, or, when it is deleted, deletes it.
    pub(in crate::commit) snapshot_id: i64,
    /// The data sequence number. `None` when it is that of the snapshot, which is not known yet.
    pub(in crate::commit) sequence_number: Option<i64>,
    pub(in crate::commit) file_sequence_number: Option<i64>,
    pub(in crate::commit) file: &'a DataFile,
}

/// Appends one entry.
pub(super) fn encode(
    out: &mut Vec<u8>,
    version: FormatVersion,
    partition: &StructType,
    entry: &ManifestEntry<'_>,
) -> Result<()> {
    long(out, entry.status as i64);
    if version == FormatVersion::V1 {
        long(out, entry.snapshot_id);
    } else {
        optional(out, Some(entry.snapshot_id), long);
        optional(out, entry.sequence_number, long);
        optional(out, entry.file_sequence_number, long);
    }
    data_file(out, version, partition, entry.file).map_err(|e| {
        let path = entry.file.file_path();
        e.context(format!("the file {} cannot be listed in a manifest", masked(path)))
    })
}

fn data_file(
    out: &mut Vec<u8>,
    version: FormatVersion,
    partition: &StructType,
    file: &DataFile,
) -> Result<()> {
    if version != FormatVersion::V1 {
        long(out, file.content_type() as i64);
    }
    bytes(out, file.file_path().as_bytes());
    bytes(out, file.file_format().to_string().to_ascii_uppercase().as_bytes());
    partition_values(out, partition, file.partition())?;
    long(out, signed(file.record_count())?);
    long(out, signed(file.file_size_in_bytes())?);
    if version == FormatVersion::V1 {
        long(out, BLOCK_SIZE);
    }
    counts(out, file.column_sizes())?;
    counts(out, file.value_counts())?;
    counts(out, file.null_value_counts())?;
    counts(out, file.nan_value_counts())?;
    bounds(out, file.lower_bounds())?;
    bounds(out, file.upper_bounds())?;
    optional(out, file.key_metadata(), bytes);
    optional(out, file.split_offsets(), |out, offsets| list(out, offsets.iter().copied()));
    if version != FormatVersion::V1 {
        optional(out, file.equality_ids(), |out, ids| list(out, ids.iter().map(|id| i64::from(*id))));
    }
    optional(out, file.sort_order_id().map(i64::from), long);
    if version == FormatVersion::V3 {
        optional(out, file.first_row_id(), long);
    }
    if version != FormatVersion::V1 {
        optional(out, file.referenced_data_file(), |out, path| bytes(out, path.as_bytes()));
    }
    if version == FormatVersion::V3 {
        optional(out, file.content_offset(), long);
        optional(out, file.content_size_in_bytes(), long);
    }
    Ok(())
}

fn partition_values(out: &mut Vec<u8>, partition: &StructType, values: &Struct) -> Result<()> {
    if values.fields().len() != partition.fields().len() {
        return Err(Error::validation("the number of its partition values is not that of its spec"));
    }
    for (field, literal) in partition.fields().iter().zip(values.fields()) {
        let Type::Primitive(kind) = &*field.field_type else {
            return Err(Error::new(ErrorKind::Internal, "a partition value is not primitive"));
        };
        match literal {
            None => long(out, 0),
            Some(literal) => {
                long(out, 1);
                value::avro(out, &value::fitting(literal, kind)?, kind)?;
            }
        }
    }
    Ok(())
}

/// Entries are in the order of their keys, so that equal files make equal manifests.
fn sorted<V, S: BuildHasher>(map: &HashMap<i32, V, S>) -> Vec<(i32, &V)> {
    let mut pairs: Vec<(i32, &V)> = map.iter().map(|(key, value)| (*key, value)).collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    pairs
}

fn counts(out: &mut Vec<u8>, map: &HashMap<i32, u64>) -> Result<()> {
    if map.is_empty() {
        long(out, 0);
        return Ok(());
    }
    long(out, 1);
    long(out, map.len() as i64);
    for (key, value) in sorted(map) {
        long(out, key.into());
        long(out, signed(*value)?);
    }
    long(out, 0);
    Ok(())
}

fn bounds(out: &mut Vec<u8>, map: &HashMap<i32, Datum>) -> Result<()> {
    // A number beyond the range of its type bounds nothing.
    let pairs: Vec<(i32, Vec<u8>)> = sorted(map)
        .into_iter()
        .filter_map(|(key, datum)| Some((key, value::encoded(datum.literal())?)))
        .collect();
    if pairs.is_empty() {
        long(out, 0);
        return Ok(());
    }
    long(out, 1);
    long(out, pairs.len() as i64);
    for (key, value) in pairs {
        long(out, key.into());
        bytes(out, &value);
    }
    long(out, 0);
    Ok(())
}

fn list(out: &mut Vec<u8>, items: impl ExactSizeIterator<Item = i64>) {
    if items.len() > 0 {
        long(out, items.len() as i64);
        items.for_each(|item| long(out, item));
    }
    long(out, 0);
}

fn signed(count: u64) -> Result<i64> {
    i64::try_from(count).map_err(|_| Error::validation("it has a count that is too big"))
}
