//! Which manifest may list a file.

use iceberg::spec::{
    DataContentType, Datum, FieldSummary, Literal, ManifestContentType, ManifestFile, PrimitiveLiteral,
    PrimitiveType, StructType, Type,
};

use crate::change::RemovedFile;

/// False only if `manifest`, whose partition values have the type `partition`, cannot list `file` as live.
pub fn may_list(manifest: &ManifestFile, partition: &StructType, file: &RemovedFile) -> bool {
    let deletes = manifest.content == ManifestContentType::Deletes;
    if manifest.partition_spec_id != file.spec_id || deletes != (file.content != DataContentType::Data) {
        return false;
    }
    // The numbers of a manifest bound those of its live files (Iceberg spec, "Manifest Lists").
    let numbered = file.sequence_number > 0 && manifest.min_sequence_number > 0;
    if numbered && !(manifest.min_sequence_number..=manifest.sequence_number).contains(&file.sequence_number)
    {
        return false;
    }
    let Some(summaries) = &manifest.partitions else { return true };
    let fields = partition.fields().iter().zip(summaries).zip(file.partition.fields());
    fields.into_iter().all(|((field, summary), value)| match &*field.field_type {
        Type::Primitive(kind) => may_hold(summary, kind, value.as_ref()),
        _ => true,
    })
}

fn may_hold(summary: &FieldSummary, kind: &PrimitiveType, value: Option<&Literal>) -> bool {
    let Some(value) = value else { return summary.contains_null };
    let Some(value) = value.as_primitive_literal() else { return true };
    // Readers and writers differ about the order of UUIDs, and NaN is in no bound.
    if matches!(value, PrimitiveLiteral::UInt128(_)) || value.is_nan() {
        return true;
    }
    let bound = |bytes: &Option<iceberg::spec::ByteBuf>| {
        let bytes = bytes.as_ref()?;
        let datum = Datum::try_from_bytes(bytes, kind.clone()).ok()?;
        // Values from before the column was widened cannot be compared.
        let literal = datum.literal().clone();
        (std::mem::discriminant(&literal) == std::mem::discriminant(&value)).then_some(literal)
    };
    bound(&summary.lower_bound).is_none_or(|lower| lower <= value)
        && bound(&summary.upper_bound).is_none_or(|upper| upper >= value)
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{FormatVersion, ManifestContentType};

    use super::*;
    use crate::change::partition_type;
    use crate::test_table::{data_file, delete_file, metadata};

    fn manifest(bounds: Option<(&str, &str)>, contains_null: bool) -> ManifestFile {
        let bytes = |text: &str| iceberg::spec::ByteBuf::from(text.as_bytes());
        ManifestFile {
            manifest_path: "m".into(),
            manifest_length: 1,
            partition_spec_id: 0,
            content: ManifestContentType::Data,
            sequence_number: 9,
            min_sequence_number: 4,
            added_snapshot_id: 1,
            added_files_count: Some(1),
            existing_files_count: Some(0),
            deleted_files_count: Some(0),
            added_rows_count: Some(1),
            existing_rows_count: Some(0),
            deleted_rows_count: Some(0),
            partitions: Some(vec![FieldSummary {
                contains_null,
                contains_nan: None,
                lower_bound: bounds.map(|b| bytes(b.0)),
                upper_bound: bounds.map(|b| bytes(b.1)),
            }]),
            key_metadata: None,
            first_row_id: None,
        }
    }

    #[test]
    fn a_manifest_is_left_out_only_when_its_bounds_say_so() {
        let of = partition_type(&metadata(FormatVersion::V2), 0).unwrap();
        let lists = |manifest: &ManifestFile, category, number| {
            may_list(manifest, &of, &RemovedFile::new(0, &data_file("a", category), number))
        };
        let b_to_d = manifest(Some(("b", "d")), false);
        assert!(lists(&b_to_d, Some("b"), 4) && lists(&b_to_d, Some("d"), 9) && lists(&b_to_d, Some("c"), 0));
        assert!(!lists(&b_to_d, Some("a"), 4) && !lists(&b_to_d, Some("e"), 4) && !lists(&b_to_d, None, 4));
        assert!(!lists(&b_to_d, Some("c"), 3) && !lists(&b_to_d, Some("c"), 10));
        assert!(lists(&manifest(None, true), None, 4));
        assert!(lists(&manifest(None, false), Some("z"), 4), "no bounds prune nothing");
        let deletes = RemovedFile::new(0, &delete_file("a", Some("c")), 4);
        assert!(!may_list(&b_to_d, &of, &deletes));
        let other_spec = ManifestFile { partition_spec_id: 1, ..b_to_d };
        assert!(!lists(&other_spec, Some("c"), 4));
    }
}
