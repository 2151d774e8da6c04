//! Decoding of manifest lists (Iceberg spec, "Manifest Lists").

use iceberg::spec::{FieldSummary, ManifestContentType, ManifestFile};

use super::avro::{AvroField, AvroType, Broken, Container, Cursor, Decoded, broken};
use super::layout::{each_branch_of, is_bytes, is_number, present};

/// Every manifest of a list, whatever format version wrote the list: fields that version 1 lacks get the values
/// that the spec gives them.
pub(super) fn decode(bytes: &[u8]) -> Decoded<Vec<ManifestFile>> {
    let container = Container::read(bytes)?;
    let AvroType::Record(fields) = &container.schema else {
        return broken("it is no manifest list");
    };
    let places = places(fields)?;
    container.check_records(size_of::<ManifestFile>())?;
    let mut summaries = 0;
    container.records(|cursor| {
        let file = manifest_file(cursor, fields, &places, &container.definitions)?;
        summaries += file.partitions.as_ref().map_or(0, Vec::len);
        container.check_memory(summaries, size_of::<FieldSummary>())?;
        Ok(file)
    })
}

/// The ids of the fields that are known, in the order they were written. A field that has another type than it may have is
/// refused: as if it were not there, its value would be taken for another one.
fn places(fields: &[AvroField]) -> Decoded<Vec<Option<i32>>> {
    let mut places: Vec<Option<i32>> = Vec::with_capacity(fields.len());
    for field in fields {
        let id = field.resolve(&FIELDS);
        let fits = |ty: &AvroType| match id {
            None => true,
            Some(500 | 519 | 510 | 511) => is_bytes(ty),
            Some(507) => matches!(ty, AvroType::Array(_)),
            Some(509 | 518) => ty == &AvroType::Boolean,
            Some(_) => is_number(ty),
        };
        if !each_branch_of(&field.ty).all(fits) {
            let name = &field.name;
            return Err(Broken::unsupported(format!(
                "its field {name} has a type that floe does not read there"
            )));
        }
        if id.is_some() && places.contains(&id) {
            return broken(format!("its field {} comes twice", field.name));
        }
        places.push(id);
    }
    Ok(places)
}

fn manifest_file(
    cursor: &mut Cursor<'_>,
    fields: &[AvroField],
    places: &[Option<i32>],
    definitions: &[AvroType],
) -> Decoded<ManifestFile> {
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
    for (field, id) in fields.iter().zip(places) {
        let ty = present(cursor, &field.ty)?;
        if ty == &AvroType::Null {
            continue;
        }
        match (id, ty) {
            (Some(500), _) => path = Some(cursor.string()?.to_owned()),
            (Some(501), _) => length = Some(cursor.long()?),
            (Some(502), _) => spec_id = Some(cursor.int()?),
            (Some(517), _) => {
                file.content = match cursor.int()? {
                    0 => ManifestContentType::Data,
                    1 => ManifestContentType::Deletes,
                    other => {
                        let why = format!("an entry has the content {other}, which floe does not know");
                        return Err(Broken::unsupported(why));
                    }
                };
            }
            (Some(515), _) => file.sequence_number = cursor.long()?,
            (Some(516), _) => file.min_sequence_number = cursor.long()?,
            (Some(503), _) => snapshot_id = Some(cursor.long()?),
            (Some(504), _) => file.added_files_count = files(cursor)?,
            (Some(505), _) => file.existing_files_count = files(cursor)?,
            (Some(506), _) => file.deleted_files_count = files(cursor)?,
            (Some(512), _) => file.added_rows_count = rows(cursor)?,
            (Some(513), _) => file.existing_rows_count = rows(cursor)?,
            (Some(514), _) => file.deleted_rows_count = rows(cursor)?,
            (Some(507), AvroType::Array(item)) => {
                file.partitions = Some(summaries(cursor, item, definitions)?);
            }
            (Some(519), _) => file.key_metadata = Some(cursor.bytes()?.to_vec()),
            (Some(520), _) => file.first_row_id = rows(cursor)?,
            (_, ty) => cursor.skip(ty, definitions)?,
        }
    }
    file.manifest_path = path.ok_or_else(|| missing("manifest_path"))?;
    file.manifest_length = length.ok_or_else(|| missing("manifest_length"))?;
    file.partition_spec_id = spec_id.ok_or_else(|| missing("partition_spec_id"))?;
    file.added_snapshot_id = snapshot_id.ok_or_else(|| missing("added_snapshot_id"))?;
    Ok(file)
}

fn summaries(
    cursor: &mut Cursor<'_>,
    item: &AvroType,
    definitions: &[AvroType],
) -> Decoded<Vec<FieldSummary>> {
    let mut records = each_branch_of(item);
    let (Some(AvroType::Record(fields)), None) = (records.next(), records.next()) else {
        return Err(Broken::unsupported("its partition summaries are no records"));
    };
    let places = places(fields)?;
    let mut summaries = Vec::new();
    cursor.each(|cursor| {
        // Without the field, nothing is known: NULLs may be there.
        let mut summary =
            FieldSummary { contains_null: true, contains_nan: None, lower_bound: None, upper_bound: None };
        if present(cursor, item)? == &AvroType::Null {
            summaries.push(summary);
            return Ok(());
        }
        for (field, id) in fields.iter().zip(&places) {
            let ty = present(cursor, &field.ty)?;
            if ty == &AvroType::Null {
                continue;
            }
            match id {
                Some(509) => summary.contains_null = cursor.boolean()?,
                Some(518) => summary.contains_nan = Some(cursor.boolean()?),
                Some(510) => summary.lower_bound = Some(cursor.bytes()?.to_vec().into()),
                Some(511) => summary.upper_bound = Some(cursor.bytes()?.to_vec().into()),
                _ => cursor.skip(ty, definitions)?,
            }
        }
        summaries.push(summary);
        Ok(())
    })?;
    Ok(summaries)
}

/// Counts are -1 with some writers where they are not known.
fn files(cursor: &mut Cursor<'_>) -> Decoded<Option<u32>> {
    Ok(u32::try_from(cursor.long()?).ok())
}

fn rows(cursor: &mut Cursor<'_>) -> Decoded<Option<u64>> {
    Ok(u64::try_from(cursor.long()?).ok())
}

fn missing(field: &str) -> Broken {
    Broken::new(format!("an entry has no {field}"))
}

/// The fields that are read: their ids, and their names, for writers that leave the ids out.
const FIELDS: [(i32, &str, i32); 23] = [
    (500, "manifest_path", 500),
    (501, "manifest_length", 501),
    (502, "partition_spec_id", 502),
    (503, "added_snapshot_id", 503),
    (504, "added_files_count", 504),
    (504, "added_data_files_count", 504),
    (505, "existing_files_count", 505),
    (505, "existing_data_files_count", 505),
    (506, "deleted_files_count", 506),
    (506, "deleted_data_files_count", 506),
    (507, "partitions", 507),
    (509, "contains_null", 509),
    (510, "lower_bound", 510),
    (511, "upper_bound", 511),
    (512, "added_rows_count", 512),
    (513, "existing_rows_count", 513),
    (514, "deleted_rows_count", 514),
    (515, "sequence_number", 515),
    (516, "min_sequence_number", 516),
    (517, "content", 517),
    (518, "contains_nan", 518),
    (519, "key_metadata", 519),
    (520, "first_row_id", 520),
];
