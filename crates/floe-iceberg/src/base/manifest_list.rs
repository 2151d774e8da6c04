//! Decoding of manifest lists (Iceberg spec, "Manifest Lists").

use iceberg::spec::{FieldSummary, ManifestContentType, ManifestFile};

use super::avro::{AvroField, AvroType, Broken, Container, Cursor, Decoded, broken};

/// Every manifest of a list, whatever format version wrote the list: fields that version 1 lacks get the values
/// that the spec gives them.
pub(super) fn decode(bytes: &[u8]) -> Decoded<Vec<ManifestFile>> {
    let container = Container::read(bytes)?;
    let AvroType::Record(fields) = &container.schema else {
        return broken("it is no manifest list");
    };
    let mut cursor = Cursor::new(&container.data);
    (0..container.count).map(|_| manifest_file(&mut cursor, fields)).collect()
}

fn manifest_file(cursor: &mut Cursor<'_>, fields: &[AvroField]) -> Decoded<ManifestFile> {
    let (mut path, mut length, mut spec_id, mut snapshot_id) = (None, None, None, None);
    let mut file = ManifestFile {
        manifest_path: String::new(),
        manifest_length: 0,
        partition_spec_id: 0,
        content: ManifestContentType::Data,
        sequence_number: 0,
        min_sequence_number: 0,
        added_snapshot_id: 0,
        added_files_count: None,
        existing_files_count: None,
        deleted_files_count: None,
        added_rows_count: None,
        existing_rows_count: None,
        deleted_rows_count: None,
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    };
    for field in fields {
        let ty = present(cursor, &field.ty)?;
        if ty == &AvroType::Null {
            continue;
        }
        let id = field.id.or_else(|| known_name(&field.name));
        match (id, ty) {
            (Some(500), AvroType::String) => path = Some(cursor.string()?.to_owned()),
            (Some(501), AvroType::Int | AvroType::Long) => length = Some(cursor.long()?),
            (Some(502), AvroType::Int | AvroType::Long) => spec_id = Some(cursor.int()?),
            (Some(517), AvroType::Int | AvroType::Long) => {
                file.content = match cursor.int()? {
                    0 => ManifestContentType::Data,
                    1 => ManifestContentType::Deletes,
                    _ => return broken("it holds a content that is not known"),
                };
            }
            (Some(515), AvroType::Int | AvroType::Long) => file.sequence_number = cursor.long()?,
            (Some(516), AvroType::Int | AvroType::Long) => file.min_sequence_number = cursor.long()?,
            (Some(503), AvroType::Int | AvroType::Long) => snapshot_id = Some(cursor.long()?),
            (Some(504), AvroType::Int | AvroType::Long) => file.added_files_count = files(cursor)?,
            (Some(505), AvroType::Int | AvroType::Long) => file.existing_files_count = files(cursor)?,
            (Some(506), AvroType::Int | AvroType::Long) => file.deleted_files_count = files(cursor)?,
            (Some(512), AvroType::Int | AvroType::Long) => file.added_rows_count = rows(cursor)?,
            (Some(513), AvroType::Int | AvroType::Long) => file.existing_rows_count = rows(cursor)?,
            (Some(514), AvroType::Int | AvroType::Long) => file.deleted_rows_count = rows(cursor)?,
            (Some(507), AvroType::Array(item)) => file.partitions = Some(summaries(cursor, item)?),
            (Some(519), AvroType::Bytes) => file.key_metadata = Some(cursor.bytes()?.to_vec()),
            (Some(520), AvroType::Int | AvroType::Long) => file.first_row_id = rows(cursor)?,
            (_, ty) => cursor.skip(ty)?,
        }
    }
    file.manifest_path = path.ok_or_else(|| missing("manifest_path"))?;
    file.manifest_length = length.ok_or_else(|| missing("manifest_length"))?;
    file.partition_spec_id = spec_id.ok_or_else(|| missing("partition_spec_id"))?;
    file.added_snapshot_id = snapshot_id.ok_or_else(|| missing("added_snapshot_id"))?;
    Ok(file)
}

fn summaries(cursor: &mut Cursor<'_>, item: &AvroType) -> Decoded<Vec<FieldSummary>> {
    let AvroType::Record(fields) = item else {
        return broken("its partition summaries are no records");
    };
    let mut summaries = Vec::new();
    cursor.each(|cursor| {
        // Without the field, nothing is known: NULLs may be there.
        let mut summary =
            FieldSummary { contains_null: true, contains_nan: None, lower_bound: None, upper_bound: None };
        for field in fields {
            let ty = present(cursor, &field.ty)?;
            if ty == &AvroType::Null {
                continue;
            }
            match (field.id.or_else(|| known_name(&field.name)), ty) {
                (Some(509), AvroType::Boolean) => summary.contains_null = cursor.boolean()?,
                (Some(518), AvroType::Boolean) => summary.contains_nan = Some(cursor.boolean()?),
                (Some(510), AvroType::Bytes) => summary.lower_bound = Some(cursor.bytes()?.to_vec().into()),
                (Some(511), AvroType::Bytes) => summary.upper_bound = Some(cursor.bytes()?.to_vec().into()),
                (_, ty) => cursor.skip(ty)?,
            }
        }
        summaries.push(summary);
        Ok(())
    })?;
    Ok(summaries)
}

fn present<'t>(cursor: &mut Cursor<'_>, ty: &'t AvroType) -> Decoded<&'t AvroType> {
    match ty {
        AvroType::Union(branches) => cursor.branch(branches),
        ty => Ok(ty),
    }
}

/// Counts are -1 with some writers where they are not known.
fn files(cursor: &mut Cursor<'_>) -> Decoded<Option<u32>> {
    Ok(u32::try_from(cursor.long()?).ok())
}

fn rows(cursor: &mut Cursor<'_>) -> Decoded<Option<u64>> {
    Ok(u64::try_from(cursor.long()?).ok())
}

fn missing(field: &str) -> Broken {
    Broken(format!("an entry has no {field}"))
}

/// Field ids by name, for writers that leave the ids out.
fn known_name(name: &str) -> Option<i32> {
    Some(match name {
        "manifest_path" => 500,
        "manifest_length" => 501,
        "partition_spec_id" => 502,
        "added_snapshot_id" => 503,
        "added_files_count" | "added_data_files_count" => 504,
        "existing_files_count" | "existing_data_files_count" => 505,
        "deleted_files_count" | "deleted_data_files_count" => 506,
        "partitions" => 507,
        "contains_null" => 509,
        "lower_bound" => 510,
        "upper_bound" => 511,
        "added_rows_count" => 512,
        "existing_rows_count" => 513,
        "deleted_rows_count" => 514,
        "sequence_number" => 515,
        "min_sequence_number" => 516,
        "content" => 517,
        "contains_nan" => 518,
        "key_metadata" => 519,
        "first_row_id" => 520,
        _ => return None,
    })
}
