//! Scans of tables made by hand.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StructArray,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use floe_core::ErrorKind;
use floe_plan::expr::Expr;
use iceberg::spec::{
    DataContentType, DataFileFormat, Datum, Literal, NestedField, PrimitiveType, Schema, Struct, StructType,
    Transform, Type, UnboundPartitionSpec,
};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::fixture::Fixture;
use super::*;
use crate::base::bound::{DELETE_FILE_PATH, DELETE_POSITION};

const LONG: Type = Type::Primitive(PrimitiveType::Long);
const STRING: Type = Type::Primitive(PrimitiveType::String);
const DOUBLE: Type = Type::Primitive(PrimitiveType::Double);

fn schema(fields: &[(i32, &str, Type)]) -> Schema {
    let fields = fields.iter().map(|(id, name, ty)| NestedField::optional(*id, *name, ty.clone()).into());
    Schema::builder().with_fields(fields).build().unwrap()
}

fn unpartitioned() -> UnboundPartitionSpec {
    UnboundPartitionSpec::builder().build()
}

fn field(id: i32, name: &str, ty: DataType) -> Field {
    Field::new(name, ty, true).with_metadata(HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]))
}

fn batch(columns: Vec<(i32, &str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(id, name, array)| field(*id, name, array.data_type().clone())).collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).unwrap()
}

fn longs(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<StringArray>())
}

fn read_longs(batches: &[RecordBatch], column: usize) -> Vec<Option<i64>> {
    batches
        .iter()
        .flat_map(|b| b.column(column).as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
        .collect()
}

fn read_strings(batches: &[RecordBatch], column: usize) -> Vec<Option<String>> {
    let read = |b: &RecordBatch| {
        b.column(column).as_string::<i32>().iter().map(|s| s.map(str::to_owned)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(read).collect()
}

fn ordered() -> ScanRequest {
    ScanRequest { preserve_order: true, ..ScanRequest::default() }
}

fn filtered(filter: &str) -> ScanRequest {
    ScanRequest { filter: Some(Expr::parse(filter).unwrap()), ..ordered() }
}

fn columns(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|n| (*n).to_owned()).collect())
}

/// A table of one long column `a`, of the given files.
async fn long_table(files: &[Vec<Option<i64>>], rows_in_group: usize) -> Fixture {
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG)]), unpartitioned());
    for rows in files {
        let rows = batch(vec![(1, "a", longs(rows.iter().copied()))]);
        let file = fixture.data_file(&rows, rows_in_group, |_| {}).await;
        fixture.commit(vec![file]).await;
    }
    fixture
}

#[tokio::test]
async fn all_rows_of_all_files_come_in_order_if_asked() {
    let fixture = long_table(&[vec![Some(3), None], vec![Some(1)], vec![Some(2)]], 1).await;
    let (batches, summary) = fixture.scan(&ordered()).await;
    assert_eq!(read_longs(&batches, 0), [Some(3), None, Some(1), Some(2)]);
    assert_eq!((summary.rows, summary.files_read, summary.row_groups_read), (4, 3, 4));
    let (batches, _) = fixture.scan(&ScanRequest::default()).await;
    let mut rows = read_longs(&batches, 0);
    rows.sort_unstable();
    assert_eq!(rows, [None, Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn a_table_without_a_snapshot_is_empty() {
    let fixture = Fixture::new(schema(&[(1, "a", LONG)]), unpartitioned());
    let (batches, _) = fixture.scan(&ordered()).await;
    assert!(batches.is_empty());
}

#[tokio::test]
async fn counting_opens_no_file() {
    let fixture = long_table(&[vec![Some(3), None], vec![Some(1)]], 10).await;
    let (batches, summary) = fixture.scan(&ScanRequest { columns: columns(&[]), ..ordered() }).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    assert_eq!((summary.files_read, summary.bytes_read), (0, 0));
}

#[tokio::test]
async fn counting_with_a_filter_counts_what_matches() {
    let fixture = long_table(&[vec![Some(3), None, Some(5)], vec![Some(1)]], 10).await;
    let (batches, _) = fixture.scan(&ScanRequest { columns: columns(&[]), ..filtered("a > 1") }).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

#[tokio::test]
async fn a_limit_plans_and_reads_no_more_than_it_needs() {
    let fixture = long_table(&[vec![Some(1), Some(2)], vec![Some(3)], vec![Some(4)]], 10).await;
    let request = ScanRequest { limit: Some(3), ..ordered() };
    assert_eq!(fixture.plan(&request).await.tasks.len(), 2);
    let (batches, _) = fixture.scan(&request).await;
    assert_eq!(read_longs(&batches, 0), [Some(1), Some(2), Some(3)]);
    let (batches, _) = fixture.scan(&ScanRequest { limit: Some(1), ..filtered("a >= 2") }).await;
    assert_eq!(read_longs(&batches, 0), [Some(2)]);
    let (batches, _) = fixture.scan(&ScanRequest { limit: Some(0), ..ordered() }).await;
    assert!(batches.is_empty());
}

#[tokio::test]
async fn columns_renamed_dropped_and_added_are_read_by_id() {
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG), (2, "b", STRING)]), unpartitioned());
    let rows = batch(vec![(1, "a", longs([Some(1)])), (2, "b", strings(&[Some("x")]))]);
    let file = fixture.data_file(&rows, 10, |_| {}).await;
    let before = fixture.commit(vec![file]).await;
    // `a` goes, `b` becomes `a`, and `c` comes.
    let evolved = schema(&[(2, "a", STRING), (3, "c", LONG)]);
    fixture.change(|builder| builder.add_current_schema(evolved).unwrap());
    let (batches, _) = fixture.scan(&ordered()).await;
    assert_eq!(read_strings(&batches, 0), [Some("x".to_owned())]);
    assert_eq!(read_longs(&batches, 1), [None]);
    let (batches, _) = fixture.scan(&filtered("c IS NULL AND a = 'x'")).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let (batches, _) = fixture.scan(&filtered("c = 1")).await;
    assert!(batches.is_empty());
    let at = ScanRequest { at: SnapshotSelector::SnapshotId(before), ..ordered() };
    let (batches, _) = fixture.scan(&at).await;
    assert_eq!(batches[0].schema().field(0).name(), "a");
    assert_eq!(read_longs(&batches, 0), [Some(1)]);
}

#[tokio::test]
async fn promoted_types_are_read_as_the_new_type() {
    let decimal = Type::Primitive(PrimitiveType::Decimal { precision: 18, scale: 2 });
    let table = schema(&[(1, "a", LONG), (2, "b", DOUBLE), (3, "c", decimal)]);
    let mut fixture = Fixture::new(table, unpartitioned());
    let decimals = Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(9, 2).unwrap();
    let rows = batch(vec![
        (1, "a", Arc::new(Int32Array::from(vec![Some(7), None]))),
        (2, "b", Arc::new(Float32Array::from(vec![1.5, f32::NAN]))),
        (3, "c", Arc::new(decimals)),
    ]);
    let file = fixture.data_file(&rows, 10, |_| {}).await;
    fixture.commit(vec![file]).await;
    let (batches, _) = fixture.scan(&ordered()).await;
    assert_eq!(read_longs(&batches, 0), [Some(7), None]);
    assert!((batches[0].column(1).as_primitive::<Float64Type>().value(0) - 1.5).abs() < f64::EPSILON);
    assert_eq!(batches[0].column(2).as_primitive::<Decimal128Type>().value(0), 150);
    assert_eq!(batches[0].column(2).data_type(), &DataType::Decimal128(18, 2));
    let (batches, _) = fixture.scan(&filtered("a = 7 AND c = 1.5")).await;
    assert_eq!(read_longs(&batches, 0), [Some(7)]);
}

#[tokio::test]
async fn fields_of_structs_are_read_by_id() {
    let inner = |fields: &[(i32, &str)]| {
        let fields = fields.iter().map(|(id, name)| NestedField::optional(*id, *name, LONG).into());
        Type::Struct(StructType::new(fields.collect()))
    };
    let table = schema(&[(1, "p", inner(&[(4, "new"), (3, "y")])), (5, "b", LONG)]);
    // A new table numbers its fields itself; a later schema keeps the numbers given.
    let mut fixture = Fixture::new(schema(&[(1, "p", LONG)]), unpartitioned());
    fixture.change(|builder| builder.add_current_schema(table).unwrap());
    let x = (Arc::new(field(2, "x", DataType::Int64)), longs([Some(1), Some(2), Some(3)]));
    let y = (Arc::new(field(3, "old_y", DataType::Int64)), longs([Some(10), Some(20), None]));
    let plain = StructArray::from(vec![x, y]);
    let nulls = Some(vec![true, false, true].into());
    let points = StructArray::new(plain.fields().clone(), plain.columns().to_vec(), nulls);
    let rows = batch(vec![(1, "p", Arc::new(points)), (5, "b", longs([Some(7), Some(8), Some(9)]))]);
    let file = fixture.data_file(&rows, 10, |_| {}).await;
    fixture.commit(vec![file]).await;
    let (batches, _) = fixture.scan(&ordered()).await;
    let points = batches[0].column(0).as_struct();
    assert_eq!(points.column_names(), ["new", "y"]);
    assert_eq!((points.is_null(1), points.is_null(2)), (true, false));
    assert_eq!(points.column(0).null_count(), 3);
    assert_eq!(points.column(1).as_primitive::<Int64Type>().value(0), 10);
    // A struct of which only a field that the file lacks is asked still knows where it is NULL.
    let (batches, _) = fixture.scan(&ScanRequest { columns: columns(&["p.new"]), ..ordered() }).await;
    let points = batches[0].column(0).as_struct();
    assert_eq!((points.is_null(0), points.is_null(1)), (false, true));
    let (batches, _) = fixture.scan(&ScanRequest { columns: columns(&["b"]), ..filtered("p.y = 10") }).await;
    assert_eq!(read_longs(&batches, 0), [Some(7)]);
}

#[tokio::test]
async fn a_default_fills_what_a_file_lacks() {
    let with_default = NestedField::required(2, "d", Type::Primitive(PrimitiveType::Int))
        .with_initial_default(Literal::int(42));
    let table = Schema::builder()
        .with_fields([NestedField::optional(1, "a", LONG).into(), with_default.into()])
        .build()
        .unwrap();
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG)]), unpartitioned());
    let file = fixture.data_file(&batch(vec![(1, "a", longs([Some(1)]))]), 10, |_| {}).await;
    fixture.commit(vec![file]).await;
    fixture.change(|builder| builder.upgrade_format_version(iceberg::spec::FormatVersion::V3).unwrap());
    fixture.change(|builder| builder.add_current_schema(table).unwrap());
    let (batches, _) = fixture.scan(&filtered("d = 42")).await;
    assert_eq!(batches[0].column(1).as_primitive::<Int32Type>().value(0), 42);
}

#[tokio::test]
async fn files_without_ids_are_read_by_the_name_mapping_or_by_position() {
    let plain = RecordBatch::try_from_iter([("second", longs([Some(2)])), ("first", longs([Some(1)]))]);
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG), (2, "b", LONG)]), unpartitioned());
    let file = fixture.data_file(&plain.unwrap(), 10, |_| {}).await;
    fixture.commit(vec![file]).await;
    let (batches, _) = fixture.scan(&ordered()).await;
    assert_eq!((read_longs(&batches, 0), read_longs(&batches, 1)), (vec![Some(2)], vec![Some(1)]));
    let mapping = r#"[{"field-id":1,"names":["first"]},{"field-id":2,"names":["b","second"]}]"#;
    let property = HashMap::from([("schema.name-mapping.default".to_owned(), mapping.to_owned())]);
    fixture.change(|builder| builder.set_properties(property).unwrap());
    let (batches, _) = fixture.scan(&ordered()).await;
    assert_eq!((read_longs(&batches, 0), read_longs(&batches, 1)), (vec![Some(1)], vec![Some(2)]));
}

async fn partitioned() -> Fixture {
    let spec =
        UnboundPartitionSpec::builder().add_partition_field(2, "b", Transform::Identity).unwrap().build();
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG), (2, "b", STRING)]), spec);
    for (a, b) in [(1, Some("x")), (2, Some("y")), (3, None)] {
        // The partition column is not in the files, as in tables that came from Hive.
        let partition = Struct::from_iter([b.map(Literal::string)]);
        let rows = batch(vec![(1, "a", longs([Some(a)]))]);
        let file = fixture
            .data_file(&rows, 10, |builder| {
                builder.partition(partition);
            })
            .await;
        fixture.commit(vec![file]).await;
    }
    fixture
}

#[tokio::test]
async fn partition_values_stand_in_for_columns_that_files_lack() {
    let fixture = partitioned().await;
    let (batches, _) = fixture.scan(&ordered()).await;
    assert_eq!(read_strings(&batches, 1), [Some("x".to_owned()), Some("y".to_owned()), None]);
    let (batches, summary) = fixture.scan(&filtered("b = 'y'")).await;
    assert_eq!(read_longs(&batches, 0), [Some(2)]);
    assert_eq!(summary.files_read, 1);
    let (batches, _) = fixture.scan(&filtered("b IS NULL OR a = 1")).await;
    assert_eq!(read_longs(&batches, 0), [Some(1), Some(3)]);
}

#[tokio::test]
async fn partitions_that_cannot_match_are_not_planned() {
    let plan = partitioned().await.plan(&filtered("b = 'y'")).await;
    assert_eq!((plan.stats.files_total, plan.stats.files_planned), (3, 1));
    assert_eq!(plan.stats.files_pruned_by_partition, 2);
    assert!(plan.tasks[0].all_rows_match);
}

#[tokio::test]
async fn metrics_and_row_group_statistics_prune() {
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG)]), unpartitioned());
    for start in [0, 100] {
        let rows = batch(vec![(1, "a", longs((start..start + 10).map(Some)))]);
        let bounds = |v: i64| HashMap::from([(1, Datum::long(v))]);
        let file = fixture.data_file(&rows, 5, |builder| {
            builder.lower_bounds(bounds(start)).upper_bounds(bounds(start + 9));
        });
        let file = file.await;
        fixture.commit(vec![file]).await;
    }
    let plan = fixture.plan(&filtered("a > 107")).await;
    assert_eq!((plan.stats.files_planned, plan.stats.files_pruned_by_metrics), (1, 1));
    let (batches, summary) = fixture.scan(&filtered("a > 107")).await;
    assert_eq!(read_longs(&batches, 0), [Some(108), Some(109)]);
    assert_eq!((summary.row_groups_read, summary.row_groups_pruned), (1, 1));
}

async fn delete(fixture: &mut Fixture, rows: &RecordBatch, ids: Option<Vec<i32>>) {
    let content = match ids {
        Some(_) => DataContentType::EqualityDeletes,
        None => DataContentType::PositionDeletes,
    };
    let file = fixture
        .data_file(rows, 10, |builder| {
            builder.content(content).equality_ids(ids);
        })
        .await;
    fixture.commit(vec![file]).await;
}

#[tokio::test]
async fn position_deletes_take_away_rows_of_files_that_were_there() {
    let mut fixture = long_table(&[(0..6).map(Some).collect()], 2).await;
    let path = fixture.plan(&ordered()).await.tasks[0].path.clone();
    let rows = batch(vec![
        (DELETE_FILE_PATH, "file_path", strings(&[Some("memory:///t/other"), Some(&path), Some(&path)])),
        (DELETE_POSITION, "pos", longs([Some(0), Some(1), Some(4)])),
    ]);
    let required = ArrowSchema::new(
        rows.schema().fields().iter().map(|f| Field::clone(f).with_nullable(false)).collect::<Vec<_>>(),
    );
    let rows = RecordBatch::try_new(Arc::new(required), rows.columns().to_vec()).unwrap();
    delete(&mut fixture, &rows, None).await;
    let (batches, summary) = fixture.scan(&ordered()).await;
    assert_eq!(read_longs(&batches, 0), [Some(0), Some(2), Some(3), Some(5)]);
    assert_eq!(summary.rows_deleted, 2);
    let (batches, _) = fixture.scan(&ScanRequest { columns: columns(&[]), ..ordered() }).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    let (batches, _) = fixture.scan(&ScanRequest { limit: Some(2), ..filtered("a > 0") }).await;
    assert_eq!(read_longs(&batches, 0), [Some(2), Some(3)]);
}

#[tokio::test]
async fn equality_deletes_take_away_older_rows_and_null_equals_null() {
    let mut fixture = long_table(&[vec![Some(1), None, Some(2), Some(3)]], 10).await;
    delete(&mut fixture, &batch(vec![(1, "a", longs([None, Some(2)]))]), Some(vec![1])).await;
    let rows = batch(vec![(1, "a", longs([Some(2), None]))]);
    let file = fixture.data_file(&rows, 10, |_| {}).await;
    fixture.commit(vec![file]).await;
    let (batches, summary) = fixture.scan(&ordered()).await;
    assert_eq!(read_longs(&batches, 0), [Some(1), Some(3), Some(2), None]);
    assert_eq!(summary.rows_deleted, 2);
    let (batches, _) = fixture.scan(&filtered("a >= 2")).await;
    assert_eq!(read_longs(&batches, 0), [Some(3), Some(2)]);
}

#[tokio::test]
async fn equality_deletes_by_a_column_dropped_since_still_hold() {
    let mut fixture = Fixture::new(schema(&[(1, "a", LONG), (2, "b", LONG)]), unpartitioned());
    let rows = batch(vec![(1, "a", longs([Some(1), Some(2)])), (2, "b", longs([Some(5), Some(6)]))]);
    let file = fixture.data_file(&rows, 10, |_| {}).await;
    fixture.commit(vec![file]).await;
    delete(&mut fixture, &batch(vec![(2, "b", longs([Some(5)]))]), Some(vec![2])).await;
    fixture.change(|builder| builder.add_current_schema(schema(&[(1, "a", LONG)])).unwrap());
    let (batches, _) = fixture.scan(&ordered()).await;
    assert_eq!(read_longs(&batches, 0), [Some(2)]);
}

/// Iceberg's Java library writes NULL for a partition value whose source column was dropped: position deletes name their
/// file all the same, and of equality deletes nobody knows any more whether they apply.
#[tokio::test]
async fn deletes_of_a_partition_that_a_writer_lost_are_applied_or_refused() {
    for content in [DataContentType::PositionDeletes, DataContentType::EqualityDeletes] {
        let mut fixture = partitioned().await;
        // The file of the partition NULL stands for one whose value was lost.
        let tasks = fixture.plan(&ordered()).await.tasks;
        let path = tasks.iter().find(|task| task.constants[&2].is_none()).unwrap().path.clone();
        let rows = match content {
            DataContentType::EqualityDeletes => batch(vec![(1, "a", longs([Some(3)]))]),
            _ => batch(vec![
                (DELETE_FILE_PATH, "file_path", strings(&[Some(&path)])),
                (DELETE_POSITION, "pos", longs([Some(0)])),
            ]),
        };
        let ids = (content == DataContentType::EqualityDeletes).then(|| vec![1]);
        let partition = Struct::from_iter([Some(Literal::string("x"))]);
        let file = fixture.data_file(&rows, 10, |builder| {
            builder.content(content).partition(partition).equality_ids(ids);
        });
        let file = file.await;
        fixture.commit(vec![file]).await;
        let (batches, _) = fixture.scan(&ordered()).await;
        assert_eq!(read_longs(&batches, 0), [Some(1), Some(2), Some(3)], "another partition");

        fixture.change(|builder| {
            let builder = builder.add_partition_spec(unpartitioned()).unwrap();
            let builder = builder.set_default_partition_spec(-1).unwrap();
            builder.add_current_schema(schema(&[(1, "a", LONG)])).unwrap()
        });
        if content == DataContentType::PositionDeletes {
            let (batches, _) = fixture.scan(&ordered()).await;
            assert_eq!(read_longs(&batches, 0), [Some(1), Some(2)]);
        } else {
            let error = plan_scan(&fixture.base(), &ordered()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
            assert!(error.to_string().contains(&path), "{error}");
        }
    }
}

#[tokio::test]
async fn deletion_vectors_and_other_formats_are_refused() {
    for (format, content) in [
        (DataFileFormat::Orc, DataContentType::Data),
        (DataFileFormat::Puffin, DataContentType::PositionDeletes),
    ] {
        let mut fixture = long_table(&[vec![Some(1)]], 10).await;
        let rows = batch(vec![(1, "a", longs([Some(1)]))]);
        let file = fixture
            .data_file(&rows, 10, |b| {
                b.file_format(format).content(content);
            })
            .await;
        fixture.commit(vec![file]).await;
        let error = plan_scan(&fixture.base(), &ordered()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_missing_or_broken_is_named() {
    let fixture = long_table(&[vec![Some(1)]], 10).await;
    let plan = fixture.plan(&ordered()).await;
    let path = plan.tasks[0].path.clone();
    let run = async || {
        let stream = execute_scan(&fixture.file_io, &plan, &Arc::default()).unwrap();
        stream.collect().await.unwrap_err()
    };
    let size = plan.tasks[0].file_size as usize;
    fixture.file_io.new_output(&path).unwrap().write(vec![7; size].into()).await.unwrap();
    let error = run().await;
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.to_string().contains(&path) && error.to_string().contains("n.t"), "{error}");
    fixture.file_io.delete(&path).await.unwrap();
    assert!(run().await.to_string().contains(&path));
}

#[tokio::test]
async fn a_broken_manifest_or_manifest_list_is_named() {
    let fixture = long_table(&[vec![Some(1)]], 10).await;
    let list = fixture.metadata.current_snapshot().unwrap().manifest_list().to_owned();
    let snapshot = fixture.metadata.current_snapshot().unwrap();
    let manifest = fixture.base().manifest_files(snapshot).await.unwrap()[0].manifest_path.clone();
    for path in [manifest, list] {
        let good = fixture.file_io.new_input(&path).unwrap().read().await.unwrap();
        let cut = good.slice(..good.len() - 5);
        fixture.file_io.new_output(&path).unwrap().write(cut).await.unwrap();
        let error = plan_scan(&fixture.base(), &ordered()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert!(error.to_string().contains(&path), "{error}");
        fixture.file_io.new_output(&path).unwrap().write(good).await.unwrap();
    }
}

#[tokio::test]
async fn snapshots_are_found_by_time_and_by_name() {
    let fixture = long_table(&[vec![Some(1)], vec![Some(2)]], 10).await;
    let first = &fixture.metadata.history()[0];
    let at = |at| ScanRequest { at, ..ordered() };
    let (batches, _) = fixture.scan(&at(SnapshotSelector::Timestamp(first.timestamp_ms))).await;
    assert_eq!(read_longs(&batches, 0), [Some(1)]);
    let (batches, _) = fixture.scan(&at(SnapshotSelector::Ref("main".to_owned()))).await;
    assert_eq!(read_longs(&batches, 0), [Some(1), Some(2)]);
    for absent in [
        SnapshotSelector::Timestamp(first.timestamp_ms - 1),
        SnapshotSelector::SnapshotId(5),
        SnapshotSelector::Ref("nope".to_owned()),
    ] {
        let error = plan_scan(&fixture.base(), &at(absent)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SnapshotNotFound);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_filtered_scan_gives_what_brute_force_gives(
        files in prop::collection::vec(
            prop::collection::vec((prop::option::of(-5_i64..5), prop::option::of(0_usize..5)), 1..12), 1..4),
        low in -6_i64..6,
        high in -6_i64..6,
        value in 0_usize..4,
        shape in 0_usize..5,
        rows_in_group in 1_usize..6,
        narrow in any::<bool>(),
    ) {
        let doubles = [0.5, -1.0, f64::NAN, 7.0, -0.0];
        let bound = doubles[if value == 2 { 0 } else { value }];
        let filter = match shape {
            0 => format!("a >= {low} AND a < {high}"),
            1 => format!("NOT (a > {low} OR b <= {bound:?})"),
            2 => format!("a IS NULL OR b > {bound:?}"),
            3 => format!("a IN ({low}, {high}) AND b IS NOT NULL"),
            _ => format!("a <> {low} AND b < {bound:?}"),
        };
        let matches = |a: Option<i64>, b: Option<f64>| match shape {
            0 => a.is_some_and(|a| a >= low && a < high),
            1 => a.is_some_and(|a| a <= low) && b.is_some_and(|b| b.is_nan() || b > bound),
            2 => a.is_none() || b.is_some_and(|b| b > bound),
            3 => a.is_some_and(|a| a == low || a == high) && b.is_some(),
            _ => a.is_some_and(|a| a != low) && b.is_some_and(|b| b < bound),
        };
        let mut expected = Vec::new();
        for (row, (a, b)) in files.iter().flatten().enumerate() {
            if matches(*a, b.map(|b| doubles[b])) {
                expected.push(Some(row as i64));
            }
        }
        let found = Runtime::new().unwrap().block_on(async {
            let table = schema(&[(1, "a", LONG), (2, "b", DOUBLE), (3, "row", LONG)]);
            let mut fixture = Fixture::new(table, unpartitioned());
            let mut row = 0;
            for file in &files {
                let b: Float64Array = file.iter().map(|(_, b)| b.map(|b| doubles[b])).collect();
                let rows = batch(vec![
                    (1, "a", longs(file.iter().map(|(a, _)| *a))),
                    (2, "b", Arc::new(b)),
                    (3, "row", longs((row..row + file.len() as i64).map(Some))),
                ]);
                row += file.len() as i64;
                let known: Vec<i64> = file.iter().filter_map(|(a, _)| *a).collect();
                let file = fixture.data_file(&rows, rows_in_group, |builder| {
                    if let (Some(min), Some(max)) = (known.iter().min(), known.iter().max()) {
                        builder.lower_bounds([(1, Datum::long(*min))].into());
                        builder.upper_bounds([(1, Datum::long(*max))].into());
                    }
                    let nulls = (file.len() - known.len()) as u64;
                    builder.null_value_counts([(1, nulls)].into());
                    builder.value_counts([(1, file.len() as u64)].into());
                }).await;
                fixture.commit(vec![file]).await;
            }
            let asked = if narrow { columns(&["row"]) } else { columns(&["row", "b", "a"]) };
            let (batches, _) = fixture.scan(&ScanRequest { columns: asked, ..filtered(&filter) }).await;
            read_longs(&batches, 0)
        });
        prop_assert_eq!(found, expected, "{}", filter);
    }
}
