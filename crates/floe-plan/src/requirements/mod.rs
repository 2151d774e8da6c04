//! Requirements that follow from updates.

pub mod refs;

use floe_core::Result;
use floe_core::metadata_file::references;
use iceberg::spec::TableMetadata;
use iceberg::{TableRequirement, TableUpdate};

/// What must still hold for `updates`, which were made for `base`, to be right (Iceberg REST specification,
/// `TableRequirement`).
///
/// Derived from the updates alone, so that no operation can forget one. A reference that `base` does not have
/// must still be absent: without that, two first commits would both succeed and one be lost.
///
/// ```
/// # use iceberg::spec::{Schema, TableMetadataBuilder};
/// # use iceberg::{TableCreation, TableRequirement, TableUpdate};
/// # let creation = TableCreation::builder()
/// #     .name("t".into())
/// #     .location("memory:///t".into())
/// #     .schema(Schema::builder().build()?)
/// #     .build();
/// let base = TableMetadataBuilder::from_table_creation(creation)?.build()?.metadata;
/// let updates = [TableUpdate::SetLocation { location: "memory:///u".into() }];
/// let needed = floe_plan::requirements::requirements(&base, &updates)?;
/// assert_eq!(needed, [TableRequirement::UuidMatch { uuid: base.uuid() }]);
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn requirements(base: &TableMetadata, updates: &[TableUpdate]) -> Result<Vec<TableRequirement>> {
    let mut needed = vec![TableRequirement::UuidMatch { uuid: base.uuid() }];
    let mut need = |requirement: TableRequirement| {
        if !needed.contains(&requirement) {
            needed.push(requirement);
        }
    };
    for update in updates {
        match update {
            TableUpdate::SetSnapshotRef { ref_name, .. } | TableUpdate::RemoveSnapshotRef { ref_name } => {
                need(same_ref(base, ref_name));
            }
            TableUpdate::AddSchema { .. } => need(TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: base.last_column_id(),
            }),
            TableUpdate::SetCurrentSchema { .. } => need(same_schema(base)),
            TableUpdate::AddSpec { .. } => need(TableRequirement::LastAssignedPartitionIdMatch {
                last_assigned_partition_id: base.last_partition_id(),
            }),
            TableUpdate::SetDefaultSpec { .. } => need(same_spec(base)),
            TableUpdate::SetDefaultSortOrder { .. } => need(TableRequirement::DefaultSortOrderIdMatch {
                default_sort_order_id: base.default_sort_order_id(),
            }),
            // What is removed must not have come into use meanwhile: no reference may have moved.
            TableUpdate::RemovePartitionSpecs { .. } => {
                need(same_spec(base));
                all_refs(base)?.into_iter().for_each(&mut need);
            }
            TableUpdate::RemoveSchemas { .. } => {
                need(same_schema(base));
                all_refs(base)?.into_iter().for_each(&mut need);
            }
            TableUpdate::RemoveSnapshots { .. } => all_refs(base)?.into_iter().for_each(&mut need),
            // These neither depend on the state of the table nor take anything away from another writer.
            TableUpdate::UpgradeFormatVersion { .. }
            | TableUpdate::AssignUuid { .. }
            | TableUpdate::AddSortOrder { .. }
            | TableUpdate::AddSnapshot { .. }
            | TableUpdate::SetLocation { .. }
            | TableUpdate::SetProperties { .. }
            | TableUpdate::RemoveProperties { .. }
            | TableUpdate::SetStatistics { .. }
            | TableUpdate::RemoveStatistics { .. }
            | TableUpdate::SetPartitionStatistics { .. }
            | TableUpdate::RemovePartitionStatistics { .. }
            | TableUpdate::AddEncryptionKey { .. }
            | TableUpdate::RemoveEncryptionKey { .. } => {}
        }
    }
    Ok(needed)
}

fn same_ref(base: &TableMetadata, name: &str) -> TableRequirement {
    TableRequirement::RefSnapshotIdMatch {
        r#ref: name.to_owned(),
        snapshot_id: base.snapshot_for_ref(name).map(|s| s.snapshot_id()),
    }
}

fn all_refs(base: &TableMetadata) -> Result<Vec<TableRequirement>> {
    Ok(references(base)?.keys().map(|name| same_ref(base, name)).collect())
}

fn same_schema(base: &TableMetadata) -> TableRequirement {
    TableRequirement::CurrentSchemaIdMatch { current_schema_id: base.current_schema_id() }
}

fn same_spec(base: &TableMetadata) -> TableRequirement {
    TableRequirement::DefaultSpecIdMatch { default_spec_id: base.default_partition_spec_id() }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{FormatVersion, Operation, Snapshot, SnapshotReference, SnapshotRetention, Summary};

    use super::*;
    use crate::test_table::metadata;

    fn snapshot(id: i64, parent: Option<i64>, sequence: i64) -> Snapshot {
        Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            .with_timestamp_ms(4_000_000_000_000)
            .with_manifest_list(format!("memory:///t/metadata/snap-{id}.avro"))
            .with_summary(Summary { operation: Operation::Append, additional_properties: Default::default() })
            .with_schema_id(0)
            .build()
    }

    fn with_refs(refs: &[(&str, SnapshotRetention)]) -> TableMetadata {
        let mut builder =
            metadata(FormatVersion::V2).into_builder(None).add_snapshot(snapshot(7, None, 1)).unwrap();
        for (name, retention) in refs {
            builder = builder.set_ref(name, SnapshotReference::new(7, retention.clone())).unwrap();
        }
        builder.build().unwrap().metadata
    }

    fn plain() -> SnapshotRetention {
        SnapshotRetention::branch(None, None, None)
    }

    fn move_main() -> TableUpdate {
        TableUpdate::SetSnapshotRef { ref_name: "main".into(), reference: SnapshotReference::new(8, plain()) }
    }

    /// duckdb-iceberg #631: the first commit of a table needs "no current snapshot", or one of two is lost.
    #[test]
    fn a_first_commit_requires_that_there_is_no_snapshot_yet() {
        let base = metadata(FormatVersion::V2);
        let needed = requirements(&base, &[move_main()]).unwrap();
        let absent = TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: None };
        assert_eq!(needed, [TableRequirement::UuidMatch { uuid: base.uuid() }, absent.clone()]);
        assert!(absent.check(Some(&base)).is_ok());
        assert!(absent.check(Some(&with_refs(&[("main", plain())]))).is_err());
    }

    #[test]
    fn a_moved_reference_must_still_be_where_it_was() {
        let base = with_refs(&[("main", plain())]);
        let needed = requirements(&base, &[move_main(), move_main()]).unwrap();
        let there = TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: Some(7) };
        assert_eq!(needed[1..], [there]);
    }

    #[test]
    fn schema_and_spec_changes_pin_their_ids() {
        let base = metadata(FormatVersion::V2);
        let updates = [
            TableUpdate::AddSchema { schema: base.current_schema().as_ref().clone() },
            TableUpdate::SetCurrentSchema { schema_id: -1 },
            TableUpdate::SetDefaultSpec { spec_id: 0 },
            TableUpdate::SetDefaultSortOrder { sort_order_id: 0 },
        ];
        let needed = requirements(&base, &updates).unwrap();
        assert_eq!(
            needed[1..],
            [
                TableRequirement::LastAssignedFieldIdMatch { last_assigned_field_id: 2 },
                TableRequirement::CurrentSchemaIdMatch { current_schema_id: 0 },
                TableRequirement::DefaultSpecIdMatch { default_spec_id: 0 },
                TableRequirement::DefaultSortOrderIdMatch { default_sort_order_id: 0 },
            ]
        );
    }

    #[test]
    fn removing_snapshots_pins_every_reference() {
        let base = with_refs(&[("main", plain()), ("old", SnapshotRetention::Tag { max_ref_age_ms: None })]);
        let needed = requirements(&base, &[TableUpdate::RemoveSnapshots { snapshot_ids: vec![1] }]).unwrap();
        let pinned: Vec<_> = needed
            .iter()
            .filter_map(|r| match r {
                TableRequirement::RefSnapshotIdMatch { r#ref, snapshot_id } => {
                    Some((r#ref.as_str(), *snapshot_id))
                }
                _ => None,
            })
            .collect();
        assert_eq!(pinned, [("main", Some(7)), ("old", Some(7))]);
    }

    #[test]
    fn a_branch_keeps_its_retention_and_a_tag_is_refused() {
        let kept = SnapshotRetention::branch(Some(3), Some(1000), None);
        let base = with_refs(&[
            ("main", kept.clone()),
            ("dev", plain()),
            ("v1", SnapshotRetention::Tag { max_ref_age_ms: Some(5) }),
        ]);
        assert_eq!(refs::branch(&base, "main").unwrap(), Some(SnapshotReference::new(7, kept)));
        assert_eq!(refs::branch(&base, "dev").unwrap(), Some(SnapshotReference::new(7, plain())));
        assert_eq!(refs::branch(&base, "none").unwrap(), None);
        assert_eq!(refs::branch(&base, "v1").unwrap_err().kind(), floe_core::ErrorKind::Validation);
        assert_eq!(references(&base).unwrap().len(), 3);
    }
}
