use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::{DataFileBuilder, DataFileFormat, FormatVersion, Literal, PartitionSpec};

use super::*;
use crate::expr::Expr;
use crate::test_table::{data_file, delete_file, file, metadata, without_category};

fn other(operation: Operation, files: Vec<DataFile>) -> OtherCommit {
    let spec = metadata(FormatVersion::V2).default_partition_spec().clone();
    let added = files.into_iter().map(|file| NewFile { spec: spec.clone(), file }).collect();
    OtherCommit { snapshot_id: 42, operation, added }
}

fn read(name: &str, category: Option<&str>) -> ReadFile {
    let file = data_file(name, category);
    ReadFile { path: file.file_path().to_owned(), spec_id: 0, partition: file.partition().clone() }
}

fn violated(guard: &Guard, others: &[OtherCommit]) -> Option<String> {
    let table = metadata(FormatVersion::V2);
    let error = check(std::slice::from_ref(guard), others, &table).err()?;
    assert_eq!(error.kind(), ErrorKind::CommitConflict);
    Some(error.to_string())
}

fn matching(text: &str) -> Guard {
    let table = metadata(FormatVersion::V2);
    let filter = Expr::parse(text).unwrap().bind(table.current_schema(), true).unwrap();
    Guard::NoNewDataMatching { filter }
}

#[test]
fn new_data_that_may_match_is_a_conflict_and_the_error_says_who_did_what_where() {
    let others = [other(Operation::Append, vec![data_file("a", Some("x"))])];
    let said = violated(&matching("category = 'x'"), &others).unwrap();
    for part in ["42", "append", "category=…"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(violated(&matching("category = 'y'"), &others), None);
    let replaced = [other(Operation::Replace, vec![data_file("a", Some("x"))])];
    assert_eq!(violated(&matching("category = 'x'"), &replaced), None, "compaction adds no rows");
    let deletes = [other(Operation::Delete, vec![delete_file("d", Some("x"))])];
    assert_eq!(violated(&matching("category = 'x'"), &deletes), None);
}

/// apache/iceberg #10312: a rewrite must not lose a delete that came meanwhile.
#[test]
fn new_deletes_conflict_with_the_files_they_may_apply_to_and_no_others() {
    let guard = Guard::NoNewDeletesFor { files: vec![read("a", Some("x")), read("b", None)] };
    let hit = |file: DataFile| violated(&guard, &[other(Operation::Delete, vec![file])]).is_some();
    let equality = |category| file("e", category, DataContentType::EqualityDeletes, 1);
    assert!(hit(equality(Some("x"))));
    assert!(hit(equality(None)));
    assert!(!hit(equality(Some("y"))));
    assert!(hit(delete_file("d", Some("x"))), "nothing is known of the files it refers to");
    assert!(!hit(delete_file("d", Some("y"))));
    assert!(!hit(data_file("new", Some("x"))));
    let referring = |name: &str| {
        let of = data_file(name, Some("x"));
        let path = of.file_path().to_owned();
        let mut builder = DataFileBuilder::default();
        builder.content(DataContentType::PositionDeletes).file_path("d".into());
        builder.file_format(DataFileFormat::Parquet).partition(of.partition().clone());
        builder.record_count(1).file_size_in_bytes(1);
        let bounds = HashMap::from([(DELETE_FILE_PATH, Datum::string(&path))]);
        let by_bounds = builder.clone().lower_bounds(bounds.clone()).upper_bounds(bounds).build().unwrap();
        [by_bounds, builder.referenced_data_file(Some(path)).build().unwrap()]
    };
    assert!(referring("a").into_iter().all(hit));
    assert!(!referring("other").into_iter().any(hit));
}

/// Iceberg's Java library writes NULL for a partition value whose source column was dropped.
#[test]
fn deletes_conflict_with_files_whose_partition_a_writer_lost() {
    let guard = Guard::NoNewDeletesFor { files: vec![read("a", None)] };
    let equality = file("e", Some("x"), DataContentType::EqualityDeletes, 1);
    for deletes in [delete_file("d", Some("x")), equality] {
        let others = [other(Operation::Delete, vec![deletes])];
        assert_eq!(violated(&guard, &others), None);
        assert!(check(std::slice::from_ref(&guard), &others, &without_category()).is_err());
    }
}

#[test]
fn equality_deletes_without_a_partition_apply_everywhere() {
    let guard = Guard::NoNewDeletesFor { files: vec![read("a", Some("x"))] };
    let mut builder = DataFileBuilder::default();
    builder.content(DataContentType::EqualityDeletes).file_path("e".into());
    builder.file_format(DataFileFormat::Parquet).partition(Struct::empty());
    let file = builder.record_count(1).file_size_in_bytes(1).build().unwrap();
    let new = NewFile { spec: Arc::new(PartitionSpec::unpartition_spec()), file };
    let global = OtherCommit { snapshot_id: 42, operation: Operation::Delete, added: vec![new] };
    assert!(violated(&guard, &[global]).is_some());
}

#[test]
fn writers_of_other_partitions_do_not_disturb_a_dynamic_overwrite() {
    let x = Struct::from_iter([Some(Literal::string("x"))]);
    let guard = Guard::NoNewFilesInPartitions { partitions: vec![(0, x)] };
    let by = |category| [other(Operation::Append, vec![data_file("a", category)])];
    assert!(violated(&guard, &by(Some("x"))).is_some());
    assert_eq!(violated(&guard, &by(Some("y"))), None);
    assert_eq!(violated(&guard, &by(None)), None);
}

#[test]
fn snapshot_isolation_lets_new_rows_be() {
    let files = vec![read("a", Some("x"))];
    let serializable = Guard::for_rows(files.clone(), BoundExpr::True, Isolation::Serializable);
    let snapshot = Guard::for_rows(files, BoundExpr::True, Isolation::Snapshot);
    let others = [other(Operation::Append, vec![data_file("n", Some("x"))])];
    let table = metadata(FormatVersion::V2);
    assert!(check(&serializable, &others, &table).is_err());
    check(&snapshot, &others, &table).unwrap();
}

#[test]
fn isolation_comes_from_the_property_of_the_operation() {
    let set = HashMap::from([("write.delete.isolation-level".to_owned(), "Snapshot".to_owned())]);
    assert_eq!(Isolation::from_properties(RowOperation::Delete, &set).unwrap(), Isolation::Snapshot);
    assert_eq!(Isolation::from_properties(RowOperation::Merge, &set).unwrap(), Isolation::Serializable);
    let bad = HashMap::from([("write.merge.isolation-level".to_owned(), "none".to_owned())]);
    assert!(Isolation::from_properties(RowOperation::Merge, &bad).is_err());
}
